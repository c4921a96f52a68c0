# The figures as the README has them.

def fixed(digits):
    (. * pow(10; digits) | round | tostring) as $all
    | ($all | "0" * ([digits + 1 - length, 0] | max) + .)
    | .[:-digits] + "." + .[-digits:];
def seconds: if . == null then "" elif . < 0.1 then fixed(3) elif . < 10 then fixed(2) else fixed(1) end;
def names: {stagecache: "stagecache", buildah: "buildah `--layers`", "buildah-jobs": "the same, `--jobs 2`", podman: "podman", buildx: "BuildKit"};
def row: "| " + join(" | ") + " |";

(.cases | map(select(.sides.buildah))) as $cases
| ($cases | map(.sides | keys) | add // [] | unique) as $used
| [names | keys_unsorted[] | select(IN($used[]))] as $shown
| .machine as $m
| "Medians in seconds on \($m.cores) cores (\($m.processor)), \($m.system), buildah \($m.buildah)\(if $m.podman != "" then ", podman \($m.podman)" else "" end)\(if $m.buildx != "" then ", Docker \($m.buildx)" else "" end), storages on \($m.filesystem // "?"):",
  "",
  (["work", ($shown[] | names[.])] | row),
  (["---", ($shown[] | "---:")] | row),
  ($cases[] | .sides as $sides | [.title, ($shown[] | $sides[.].seconds | seconds)] | row)
