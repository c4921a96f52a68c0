# Sizes as people read them.

# 1536 becomes 1.5 KiB.
function bytes(count,    unit, units) {
    split("B KiB MiB GiB", units, " ")
    for (unit = 1; count >= 1024 && unit < 4; unit++) count /= 1024
    return unit == 1 ? count " B" : sprintf("%.1f %s", count, units[unit])
}
