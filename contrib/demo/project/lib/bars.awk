# Bars of text.

# A bar as long as its share of the largest, `width` at most; something is never nothing.
function bar(count, largest, width,    n, drawn) {
    n = int(count * width / largest + 0.5)
    if (count && !n) n = 1
    while (n-- > 0) drawn = drawn "#"
    return drawn
}
