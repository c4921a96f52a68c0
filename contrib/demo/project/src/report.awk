# The tables of the report.
# use bars

function report_classes(    class, largest, n, names, i) {
    n = split("2xx 3xx 4xx 5xx", names, " ")
    for (class in status) if (status[class] > largest) largest = status[class]
    for (i = 1; i <= n; i++) {
        class = names[i]
        if (status[class]) printf "%s %4d %s\n", class, status[class], bar(status[class], largest, 20)
    }
}

# The path that was asked for most, five times over.
function report_paths(    path, best, shown) {
    for (shown = 0; shown < 5; shown++) {
        best = ""
        for (path in hits)
            if (best == "" || hits[path] > hits[best] || (hits[path] == hits[best] && path < best)) best = path
        if (best == "") return
        printf "%4d %s\n", hits[best], best
        delete hits[best]
    }
}
