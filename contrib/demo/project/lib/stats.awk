# Numbers in order, and what stands where among them.

# Sorts values[1..n] in place.
function sort_numbers(values, n,    gap, i, j, held) {
    for (gap = int(n / 2); gap > 0; gap = int(gap / 2))
        for (i = gap + 1; i <= n; i++) {
            held = values[i]
            for (j = i; j > gap && values[j - gap] > held; j -= gap)
                values[j] = values[j - gap]
            values[j] = held
        }
}

# The value that `percent` of the sorted values[1..n] do not exceed (nearest rank).
function percentile(values, n, percent,    rank) {
    rank = int(percent * n / 100)
    if (rank * 100 < percent * n) rank++
    return values[rank < 1 ? 1 : rank]
}
