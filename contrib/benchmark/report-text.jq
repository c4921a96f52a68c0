# The figures for a person at a terminal.

def left(n): tostring | . + " " * ([n - length, 0] | max);
def right(n): tostring | " " * ([n - length, 0] | max) + .;
def fixed(digits):
    if . == null then "-" else
        (. * pow(10; digits) | round | tostring) as $all
        | ($all | "0" * ([digits + 1 - length, 0] | max) + .)
        | .[:-digits] + "." + .[-digits:]
    end;
def seconds: if . == null then "-" elif . < 0.1 then fixed(3) else fixed(2) end;
def sides: ["stagecache", "buildah", "buildah-jobs", "podman", "buildx", "find", "listing"];

(.cases | map(.sides | keys) | add // [] | unique) as $used
| [sides[] | select(IN($used[]))] as $shown
| .machine as $m
| "\($m.stagecache), buildah \($m.buildah)\(if $m.podman != "" then ", podman \($m.podman)" else "" end)\(if $m.buildx != "" then ", Docker \($m.buildx)" else "" end), isolation \($m.isolation), storages on \($m.filesystem // "?")",
  "\($m.system), Linux \($m.kernel), \($m.cores) cores, \($m.processor)",
  (if .quick then "One run of each: says that it works, not how fast it is." else empty end),
  "",
  ("Seconds, medians; buildah with --layers, buildah-jobs also with --jobs 2." | .),
  (["" | left(54)] + [$shown[] | right(13)] + ["buildah :" | right(11)] | join("")),
  (.cases[] | .sides as $sides
    | [.title | left(54)] + [$shown[] | $sides[.].seconds | seconds | right(13)]
      + [if $sides.buildah and $sides.stagecache then "\($sides.buildah.seconds / $sides.stagecache.seconds | fixed(1))" else "" end | right(11)]
    | join("")),
  "",
  (.demands[] | "\(if .holds then "holds " else "FAILS " end) \(.case | left(16)) \(.value) \(.sign) \(.bound) \(.text)")
