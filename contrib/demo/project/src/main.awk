# loglens FILE: reads `TIME METHOD PATH STATUS BYTES MILLISECONDS` a line.
# use stats
# use units

BEGIN {
    if (ARGC < 2) {
        print "usage: loglens FILE"
        failed = 1
        exit 2
    }
}

NF == 6 {
    requests++
    sent += $5
    status[substr($4, 1, 1) "xx"]++
    hits[$3]++
    took[requests] = $6 + 0
}

END {
    if (failed) exit 2
    sort_numbers(took, requests)
    printf "%d requests, %s sent\n", requests, bytes(sent)
    printf "half within %d ms, 95 of 100 within %d ms\n", percentile(took, requests, 50), percentile(took, requests, 95)
    report_classes()
    report_paths()
}
