//! The flags of `build`: ours, and every one of `buildah build` (1.28 to 1.44) and `podman build`.
//!
//! The rule for a row: what is not known to be harmless is `Key`. A row's two texts are its line in
//! `--help` and the reason for its role.

use super::table::{Engines, FlagSpec, Kind, Role};

const ENGINE: &[&str] = &["auto", "buildah", "podman"];
const FORMAT: &[&str] = &["oci", "docker"];
const ISOLATION: &[&str] = &["oci", "rootless", "chroot"];
/// How a build may be shown.
pub const PROGRESS: &[&str] = &["auto", "tty", "plain", "quiet", "rawjson"];
const PULL: &[&str] = &["always", "missing", "never", "newer"];

macro_rules! rows {
    ($($role:ident $name:literal $kind:ident $(.$with:ident($($arg:expr),*))* $help:literal, $why:literal;)*) => {
        &[$(FlagSpec::row(Role::$role, $name, Kind::$kind)$(.$with($($arg),*))*.says($help, $why)),*]
    };
}
pub(super) use rows;

/// Every flag of `build`, by role.
pub const FLAGS: &[FlagSpec] = rows! {
    // Of podman-stagecache itself.
    Ours "build-id" Value .text("UUID").of(Engines::Ours)
        "use this build UUID, which no build here had; of several platforms the first has it, the others one made of it", "names the build's record";
    Ours "build-id-file" Value .file().of(Engines::Ours)
        "write the build UUID to this file, with several platforms one a line", "says where a result goes";
    Ours "build-id-label" Bool .of(Engines::Ours)
        "label the stage images with the build UUID", "a label on leaves, which no step stands on";
    Ours "cache-id" Value .text("ID").of(Engines::Ours)
        "the name under which builds count as the same, instead of context, Containerfile and target",
        "decides which earlier builds are kept and compared with";
    Ours "cache-repo" Append .text("REPO").of(Engines::Ours)
        "read the shared cache from this repository and write to it", "decides where hits come from";
    Ours "cache-required" Bool .of(Engines::Ours)
        "fail when a cache repository cannot be read or written", "decides what an unreachable cache does";
    Ours "engine" Value .choice("ENGINE", ENGINE).of(Engines::Ours)
        "build with buildah, podman or a program at a path (default: auto)",
        "the same instructions give the same result; a change of the engine must not rebuild the world";
    Ours "ignore-file-mode" Bool .of(Engines::Ours)
        "take modes of context files for git's: executable or not",
        "a file may have another mode than its key says: in the key of steps that read the context";
    Ours "keep-stages" Value .text("N|all").of(Engines::Ours)
        "keep the stage images of the last N builds (default: 3)", "decides what is removed afterwards";
    Ours "keep-storage" Value .text("SIZE").of(Engines::Ours)
        "remove old stage images until the cache is no larger than this", "decides what is removed afterwards";
    Ours "no-cache-filter" CommaList .text("STAGE").of(Engines::Ours)
        "do not use the cache for these stages", "decides which hits count";
    Ours "no-wait" Bool .of(Engines::Ours)
        "run a step though another build runs the same one just now, instead of waiting for what it makes",
        "the same step gives the same result";
    Ours "patch-layers" Bool .of(Engines::Ours)
        "make a COPY's layer from that of last time where nothing but contents changed (default: true)",
        "the layer is the engine's own to the bit, and what is not surely so the engine copies";
    Ours "print-containerfiles" Bool .of(Engines::Ours)
        "show each stage's Containerfile as it is really built", "shows what is decided";
    Ours "public-arg" Append .text("NAME").of(Engines::Ours)
        "show this build argument's value in records, not only its digest", "decides what a record shows";

    // Read here, not handed to a step.
    Ours "all-platforms" Bool
        "build for every platform of the base image", "each platform is a graph of its own";
    Ours "arch" Value .text("ARCH").alias(&["override-arch"])
        "build for this architecture", "the platform has a field of its own in the key";
    Ours "build-arg" Append .text("NAME=VALUE")
        "set a build argument, from the environment without a value",
        "the arguments that a step can see are in its key one by one";
    Ours "build-arg-file" Append .file().since(30).emulated()
        "read build arguments from a file of NAME=VALUE lines", "becomes build arguments";
    Ours "build-context" Append .text("NAME=CONTEXT")
        "an additional context: a folder, a URL or container-image://IMAGE",
        "what is copied from it is in the key; step calls get contexts of our making";
    Ours "cache-from" Append .text("REPO")
        "read the shared cache from this repository", "decides where hits come from";
    Ours "cache-to" Append .text("REPO")
        "write the shared cache to this repository", "decides where new steps go";
    Ours "cache-ttl" Value .text("DURATION")
        "only use what is younger than this", "decides which hits count";
    Ours "compress" Bool
        "no effect, as with the engines", "has no effect in any engine";
    Ours "cpp-flag" Append .text("FLAG")
        "an argument for the preprocessor of a Containerfile.in", "changes the text, and the text is in the key";
    Ours "disable-content-trust" Bool
        "no effect, as with the engines", "has no effect in any engine";
    Ours "file" CommaList .short('f').value("FILE", super::table::ValueType::File)
        "the Containerfile, - for stdin, or a URL", "its instructions are in the keys, its name is not";
    Ours "force-rm" Bool
        "remove working containers even when the build fails", "says what stays, not what is made";
    Ours "from" Value .text("IMAGE")
        "use this image in the first FROM", "the image that it resolves to is in the key";
    Ours "help" Bool .short('h')
        "print help", "asks for this text";
    Ours "ignorefile" Value .file()
        "use this ignore file", "decides which files of the context are there to copy";
    Ours "jobs" Value .int()
        "run this many steps at the same time (default: the number of cores)",
        "steps do not see each other";
    Ours "layers" Bool
        "a layer for each instruction (default), or one for each stage with --layers=false",
        "decides how a stage is cut into steps";
    Ours "load" Bool .of(Engines::Podman).hidden().emulated()
        "no effect, for those who are used to buildx", "has no effect in podman either";
    Ours "logfile" Value .file()
        "write what the steps print to this file", "says where output goes";
    Ours "loglevel" Value .int().hidden()
        "no effect, as with the engines", "has no effect in any engine";
    Ours "logsplit" Bool
        "a log file for each platform", "says where output goes";
    Ours "metadata-file" Value .file().since(44).emulated()
        "write the build's record to this file", "says where a result goes";
    Ours "no-cache" Bool
        "do not use the cache", "decides which hits count";
    Ours "os" Value .text("OS").alias(&["override-os"])
        "build for this operating system", "the platform has a field of its own in the key";
    Ours "platform" CommaList .text("OS/ARCH[/VARIANT]")
        "build for these platforms", "the platform has a field of its own in the key";
    Ours "progress" Value .choice("MODE", PROGRESS).of(Engines::Podman).emulated()
        "how progress is shown", "says how output looks";
    Ours "pull" OptionalValue .choice("POLICY", PULL)
        "when to pull the images that the build names",
        "images are resolved before the first step, and their ids are in the key";
    Ours "pull-always" Bool .hidden()
        "same as --pull=always", "images are resolved before the first step";
    Ours "pull-never" Bool .hidden()
        "same as --pull=never", "images are resolved before the first step";
    Ours "quiet" Bool .short('q')
        "print the image id only", "says how output looks";
    Ours "rm" Bool .alias(&["purge"])
        "remove working containers after a build", "says what stays, not what is made";
    Ours "save-stages" Bool .since(44).emulated()
        "leave exactly one unnamed image for each stage", "decides which names stage images get";
    Ours "skip-unused-stages" Bool
        "do not build stages that the target does not need (default: true)", "decides which stages are built";
    Ours "source-policy-file" Value .file().since(44)
        "a policy that allows, denies or replaces images and URLs",
        "applies while names are resolved; a step call is given ids";
    Ours "stage-labels" Bool .since(44).emulated()
        "label stage images with their name and base (default: true)",
        "our labels stand on leaves, which no step stands on";
    Ours "stdin" Bool
        "pass stdin to RUN", "what RUN reads there cannot be keyed: such a build takes no hit";
    Ours "target" Value .text("STAGE")
        "build this stage", "decides which stages are built";
    Ours "variant" Value .text("VARIANT")
        "build for this variant of the architecture", "the platform has a field of its own in the key";

    // Can change what a step produces.
    Key "add-host" CommaList .text("HOST:IP")
        "add a line to /etc/hosts for RUN", "a download comes from the host that the name stands for";
    Key "cap-add" CommaList .text("CAPABILITY")
        "give RUN this capability", "chown, mknod and mount succeed or fail by it";
    Key "cap-drop" CommaList .text("CAPABILITY")
        "take this capability from RUN", "chown, mknod and mount succeed or fail by it";
    Key "cdi-config-dir" Value .dir().since(36).hidden()
        "a folder of CDI files", "decides what a device brings into RUN";
    Key "cgroupns" Value .text("HOW")
        "the cgroup namespace of RUN", "RUN sees its own path in /proc/self/cgroup";
    Key "cni-config-dir" Value .dir().hidden()
        "a folder of CNI network files", "decides what RUN's network reaches";
    Key "cni-plugin-path" Value .dir().hidden()
        "a folder of CNI plugins", "decides what RUN's network reaches";
    Key "compat-volumes" Bool .since(37)
        "keep the contents of volumes during RUN", "changes the files that a step leaves";
    Key "device" Append .text("DEVICE")
        "give RUN this device", "RUN can read from it";
    Key "dns" CommaList .text("SERVER")
        "the name servers of RUN", "a download comes from the host that they answer with";
    Key "dns-option" CommaList .text("OPTION")
        "an option for RUN's resolv.conf", "RUN can read the file";
    Key "dns-search" CommaList .text("DOMAIN")
        "a search domain of RUN", "a download comes from the host that a name is completed to";
    Key "env" Append .text("NAME[=VALUE]")
        "set a variable for RUN and in the image", "RUN and the image's config see it";
    Key "format" Value .choice("FORMAT", FORMAT)
        "the image format", "OCI images keep no SHELL, HEALTHCHECK and ONBUILD";
    Key "group-add" CommaList .text("GROUP").since(29)
        "give RUN this group", "decides which files RUN can read and write";
    Key "hooks-dir" Append .dir()
        "a folder of OCI hooks", "a hook can change the container";
    Key "http-proxy" Bool
        "pass proxy variables on to RUN (default: true)", "RUN sees the variables";
    Key "ipc" Value .text("HOW")
        "the IPC namespace of RUN", "RUN can talk to what shares it";
    Key "isolation" Value .choice("TYPE", ISOLATION)
        "how RUN is isolated", "decides which devices, mounts and limits RUN sees";
    Key "mount" Append .text("MOUNT").since(44)
        "a mount for each RUN", "RUN can read what is mounted";
    Key "network" Value .text("HOW").alias(&["net"])
        "the network of RUN", "decides what RUN reaches";
    Key "no-hostname" Bool .since(33)
        "leave the image's /etc/hostname alone", "RUN can read the file";
    Key "no-hosts" Bool
        "leave the image's /etc/hosts alone", "RUN can read the file";
    Key "pid" Value .text("HOW")
        "the PID namespace of RUN", "RUN sees other processes";
    Key "rewrite-timestamp" Bool .since(41)
        "no file of a layer is newer than --source-date-epoch", "changes the times in the layer";
    Key "runtime" Value .value("PATH", super::table::ValueType::File)
        "the OCI runtime", "not known to make no difference";
    Key "runtime-flag" CommaList .text("FLAG")
        "a flag for the OCI runtime", "not known to make no difference";
    Key "security-opt" Append .text("OPTION")
        "a security option of RUN", "decides which calls RUN can make";
    Key "shm-size" Value .text("SIZE")
        "the size of RUN's /dev/shm", "a program that needs more of it fails or falls back";
    Key "source-date-epoch" Value .text("SECONDS").since(41)
        "the time of images and history", "stands in each step's config and in RUN's environment";
    Key "timestamp" Value .int()
        "the time of images, history and files", "stands in each step's config and layer";
    Key "ulimit" CommaList .text("LIMIT")
        "a limit of RUN", "RUN can read it, and some programs size themselves by it";
    Key "unsetenv" CommaList .text("NAME")
        "take a variable out of the image", "is done at each commit, so that the next step lacks it";
    Key "userns" Value .text("HOW")
        "the user namespace of RUN", "decides owners and what RUN may do";
    Key "userns-gid-map" CommaList .text("MAP")
        "the group ids of RUN's user namespace", "decides owners";
    Key "userns-gid-map-group" Value .text("NAME")
        "the /etc/subgid entry for RUN's user namespace", "decides owners";
    Key "userns-uid-map" CommaList .text("MAP")
        "the user ids of RUN's user namespace", "decides owners";
    Key "userns-uid-map-user" Value .text("NAME")
        "the /etc/subuid entry for RUN's user namespace", "decides owners";
    Key "uts" Value .text("HOW")
        "the UTS namespace of RUN", "RUN sees the host's name";
    Key "volume" Append .short('v').text("HOST:CTR[:OPTIONS]")
        "mount a folder of the host for RUN", "RUN can read it; its content is not in the key";

    // To each step call; the result is the same.
    Pass "authfile" Value .file()
        "credentials for registries", "who pulls does not change what is pulled";
    Pass "blob-cache" Value .dir().hidden()
        "a folder of image blobs", "the same blobs from elsewhere";
    Pass "cert-dir" Value .dir()
        "certificates for registries", "who pulls does not change what is pulled";
    Pass "cgroup-parent" Value .text("CGROUP")
        "the parent cgroup of RUN", "a place in the host's tree, as is the host itself";
    Pass "compression-format" Value .text("FORMAT").since(44)
        "how layers are compressed", "layer ids are those of the content before compression";
    Pass "compression-level" Value .int().since(44)
        "how much layers are compressed", "layer ids are those of the content before compression";
    Pass "cpu-period" Value .uint()
        "the CPU period of RUN", "speed, as is the host's own";
    Pass "cpu-quota" Value .int()
        "the CPU quota of RUN", "speed, as is the host's own";
    Pass "cpu-shares" Value .short('c').uint()
        "the CPU weight of RUN", "speed, as is the host's own";
    Pass "cpuset-cpus" Value .text("CPUS")
        "the CPUs for RUN", "a number of CPUs, which is the host's own otherwise and in no key either";
    Pass "cpuset-mems" Value .text("NODES")
        "the memory nodes for RUN", "speed, as is the host's own";
    Pass "creds" Value .text("USER[:PASSWORD]")
        "credentials for a registry", "who pulls does not change what is pulled, and no key holds a secret";
    Pass "decryption-key" CommaList .text("KEY[:PASSPHRASE]")
        "a key for encrypted images", "the image's id is in the key, and no key holds a secret";
    Pass "disable-compression" Bool .short('D')
        "do not compress layers (default: true)", "layer ids are those of the content before compression";
    Pass "force-compression" Bool .since(44)
        "compress again what is compressed otherwise", "layer ids are those of the content before compression";
    Pass "log-rusage" Bool .hidden()
        "print the resources that each step used", "adds a line to the output";
    Pass "memory" Value .short('m').text("SIZE")
        "the memory limit of RUN", "a RUN that lacks memory fails, and a failure is in no cache";
    Pass "memory-swap" Value .text("SIZE")
        "the limit of memory and swap of RUN", "a RUN that lacks memory fails, and a failure is in no cache";
    Pass "retry" Value .int()
        "how often a pull or push is tried again", "the same content after one try or three";
    Pass "retry-delay" Value .text("DURATION")
        "how long to wait before a pull or push is tried again", "the same content sooner or later";
    Pass "rusage-logfile" Value .file().hidden()
        "write the resources that each step used to this file", "says where output goes";
    Pass "secret" Append .text("id=ID,...")
        "a secret for RUN --mount=type=secret", "its id is in the key of steps that mount it, its content in none";
    Pass "signature-policy" Value .file().hidden()
        "a signature policy", "allows or denies an image, whose id is in the key";
    Pass "ssh" Append .text("ID[=SOCKET|KEY]")
        "an SSH agent or key for RUN --mount=type=ssh", "its id is in the key of steps that mount it, its keys in none";
    Pass "tls-verify" Bool
        "require HTTPS and verify certificates (default: true)", "who answers is checked, and the image's id is in the key";

    // The final image alone.
    Final "annotation" Append .text("NAME=VALUE")
        "annotate the image", "stands in the final manifest";
    Final "created-annotation" Bool .since(41)
        "annotate the image with its time (default: true)", "stands in the final manifest";
    Final "cw" Value .text("OPTIONS").since(32)
        "make a confidential workload of the image", "wraps the finished image";
    Final "identity-label" Bool
        "label the image with the engine's version (default: true)", "a label that no step reads";
    Final "iidfile" Value .file()
        "write the image id to this file", "says where a result goes";
    Final "iidfile-raw" Value .file().alias(&["raw-iidfile"]).since(44).emulated()
        "write the image id without sha256: to this file", "says where a result goes";
    Final "inherit-annotations" Bool .since(41)
        "keep the base image's annotations (default: true)", "stands in the final manifest";
    Final "inherit-labels" Bool .since(40)
        "keep the base image's labels (default: true)", "labels that no step reads";
    Final "label" Append .text("NAME=VALUE").emulated()
        "label the image", "a label that no step reads";
    Final "layer-label" Append .text("NAME=VALUE").since(32)
        "label the images of the steps before the last", "a label that no step reads";
    Final "manifest" Value .text("NAME")
        "add the image to this manifest list", "says where the result goes";
    Final "omit-history" Bool
        "leave the history out of the image", "history that no step reads";
    Final "os-feature" Append .text("FEATURE")
        "an OS feature that the image requires", "stands in the final config";
    Final "os-version" Value .text("VERSION")
        "the OS version that the image requires", "stands in the final config";
    Final "output" Append .short('o').text("DEST")
        "write the image's files to a folder or tar file", "says where the result goes";
    Final "sbom" Value .text("PRESET").since(35)
        "scan the build with a preset", "reads the finished image";
    Final "sbom-image-output" Value .text("PATH").since(35)
        "put the scan's SBOM into the image here", "changes the finished image";
    Final "sbom-image-purl-output" Value .text("PATH").since(35)
        "put the scan's list of packages into the image here", "changes the finished image";
    Final "sbom-merge-strategy" Value .text("STRATEGY").since(35)
        "how several scans become one", "reads the finished image";
    Final "sbom-output" Value .file().since(35)
        "write the scan's SBOM to this file", "says where a result goes";
    Final "sbom-purl-output" Value .file().since(35)
        "write the scan's list of packages to this file", "says where a result goes";
    Final "sbom-scanner-command" Append .text("COMMAND").since(35)
        "the scanner's command", "reads the finished image";
    Final "sbom-scanner-image" Value .text("IMAGE").since(35)
        "the scanner's image", "reads the finished image";
    Final "sign-by" Value .text("FINGERPRINT")
        "sign the image with this key", "signs the finished image";
    Final "squash" Bool
        "one layer: of the whole image with buildah, of what is new with podman", "merges the layers of the finished image";
    Final "squash-all" Bool .of(Engines::Podman).emulated()
        "one layer of the whole image, which is buildah's --squash", "merges the layers of the finished image";
    Final "tag" Append .short('t').text("NAME")
        "name the image", "a name of the finished image";
    Final "unsetannotation" CommaList .text("NAME").since(41)
        "take out an annotation of the base image", "stands in the final manifest";
    Final "unsetlabel" CommaList .text("NAME").since(33)
        "take out a label of the base image", "labels that no step reads";
};
