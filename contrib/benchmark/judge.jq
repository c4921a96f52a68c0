# Medians of the figures, and for each thing that is asked of them whether it holds.

def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def rounded(n): . * pow(10; n) | round / pow(10; n);

# The work that is measured, in the order in which it is shown.
def titles: {
    "nothing-changed": "nothing changed, 6 stages, 30 instructions",
    "last-stage": "a file for the last stage changed",
    "cold": "all new, 6 stages, 30 instructions",
    "chain": "all new, one stage of 20 RUN",
    "sleeps": "all new, two stages of `sleep 5`",
    "chef": "cargo-chef: a source changed, not the dependencies",
    "files": "nothing changed, context of 20,000 files, 205 MB",
    "one-file": "one of the 20,000 files changed",
    "stages-cold": "all new, 200 stages",
    "stages": "nothing changed, 200 stages",
    "few-images": "nothing changed, few images in the storage",
    "many-images": "nothing changed, many images in the storage",
    "many-files": "nothing changed, context of 200,000 files"
};

. as $data
| (.samples | group_by([.case, .side, .what])
    | map({key: (.[0] | "\(.case)/\(.side)/\(.what)"), value: (map(.value) | median)}) | from_entries) as $median
| (.samples | map(select(.what == "seconds")) | group_by([.case, .side])
    | map({key: (.[0] | "\(.case)/\(.side)"), value: map(.value)}) | from_entries) as $all
| def of(case; side; what): $median["\(case)/\(side)/\(what)"];
  def seconds(case; side): of(case; side; "seconds");
  # A thing that is asked; left out where one of its figures was not measured.
  def asked(case; text; value; sign; bound):
      ([value] | map(values)) as $value
      | ([bound] | map(values)) as $bound
      | select($value != [] and $bound != [])
      | {case: case, text: text, value: ($value[0] | rounded(3)), sign: sign, bound: ($bound[0] | rounded(3)),
         holds: (if sign == "≥" then $value[0] >= $bound[0] else $value[0] <= $bound[0] end)};
  def ratio(one; other): if one != null and other != null and other > 0 then one / other else null end;
  def faster(case; bound):
      asked(case; "times faster than buildah --layers"; ratio(seconds(case; "buildah"); seconds(case; "stagecache")); "≥"; bound);
  def share(case; side; name; bound):
      asked(case; "of the time of \(name)"; ratio(seconds(case; "stagecache"); seconds(case; side)); "≤"; bound);
  {
    machine, quick,
    cases: [
        titles | to_entries[] | .key as $case | {
            case: $case, title: .value,
            sides: ([$data.samples[] | select(.case == $case) | .side] | unique | map(. as $side | {
                key: $side,
                value: {seconds: seconds($case; $side), cpu: of($case; $side; "cpu"), runs: $all["\($case)/\($side)"]}
            }) | from_entries)
        } | select(.sides != {})
    ],
    demands: [
        faster("nothing-changed"; 30),
        share("last-stage"; "buildah"; "buildah --layers"; 0.35),
        share("cold"; "buildah"; "buildah --layers"; 0.9),
        share("cold"; "buildah-jobs"; "buildah --layers --jobs 2"; 1),
        asked("cold"; "of the processor time of buildah --layers"; ratio(of("cold"; "stagecache"; "cpu"); of("cold"; "buildah"; "cpu")); "≤"; 1.1),
        share("chain"; "buildah"; "buildah --layers"; 1.1),
        asked("sleeps"; "seconds"; seconds("sleeps"; "stagecache"); "≤"; 5.8),
        faster("files"; 60),
        share("one-file"; "buildah"; "buildah --layers"; 0.6),
        asked("files"; "MiB of memory at most, with 20,000 files"; ([$data.samples[] | select(.case == "files" and .what == "peak_kib") | .value] | max | values | . / 1024); "≤"; 64),
        share("files"; "find"; "find -printf '%s %T@' on 20,000 files"; 0.8),
        share("many-files"; "find"; "find -printf '%s %T@' on 200,000 files"; 0.8),
        # Linear: what the kernel takes longer for a file of a larger tree shows in the time of find.
        asked("many-files"; "times the time of 20,000 files, or as find"; ratio(seconds("many-files"; "stagecache"); seconds("files"; "stagecache")); "≤"; [10, ratio(seconds("many-files"; "find"); seconds("files"; "find"))] | max),
        asked("many-images"; "seconds more than with few images, against one listing"; (seconds("many-images"; "stagecache") as $many | seconds("few-images"; "stagecache") as $few | if $many != null and $few != null then $many - $few else null end); "≤"; seconds("many-images"; "listing")),
        asked("nothing-changed"; "images without a layer of their own for each stage"; of("nothing-changed"; "stagecache"; "bare_images"); "≤"; 2)
    ],
    images: of("many-images"; "stagecache"; "images"),
    memory: [$data.samples[] | select(.what == "peak_kib") | {case, mib: (.value / 1024 | rounded(1))}]
  }
