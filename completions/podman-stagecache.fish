# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_podman_stagecache_global_optspecs
    string join \n noout out= cdi-spec-dir= cgroup-manager= default-mounts-file= hooks-dir= module= network-cmd-path= network-config-dir= runtime= runtime-flag= storage-opt= userns-gid-map= userns-uid-map= config= conmon= c/connection= cpu-profile= debug events-backend= identity= imagestore= log-level= max-workers= memory-profile= namespace= registries-conf= registries-conf-dir= r/remote root= runroot= short-name-alias-conf= ssh= storage-driver= syslog tls-ca= tls-cert= tls-key= tmpdir= trace transient-store url= volumepath= engine= h/help V/version
end

function __fish_podman_stagecache_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_podman_stagecache_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_podman_stagecache_using_subcommand
    set -l cmd (__fish_podman_stagecache_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l out -d 'write podman\'s stdout to this file [buildah 1.31 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l cdi-spec-dir -d 'a folder of CDI files [buildah 1.42 and later, podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l cgroup-manager -d 'how cgroups are managed' -r -f -a "cgroupfs\t''
systemd\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l default-mounts-file -d 'a file of mounts for each container' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l hooks-dir -d 'a folder of OCI hooks [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l module -d 'load a module of containers.conf [buildah 1.32 and later, podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l network-cmd-path -d 'the program for rootless networks [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l network-config-dir -d 'a folder of network files [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l runtime -d 'the OCI runtime [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l runtime-flag -d 'a flag for the OCI runtime [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l storage-opt -d 'an option for the storage driver' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l userns-gid-map -d 'the group ids of user namespaces [buildah only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l userns-uid-map -d 'the user ids of user namespaces [buildah only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l config -d 'a folder with credentials for registries [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l conmon -d 'the conmon program [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -s c -l connection -d 'the connection to a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l cpu-profile -d 'write a CPU profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l events-backend -d 'where events go [podman only]' -r -f -a "file\t''
journald\t''
none\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l identity -d 'the SSH key for a remote podman [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l imagestore -d 'a storage for images apart from that for containers [buildah 1.32 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l log-level -d 'what the engine logs' -r -f -a "trace\t''
debug\t''
info\t''
warn\t''
error\t''
fatal\t''
panic\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l max-workers -d 'how much podman does at the same time [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l memory-profile -d 'write a memory profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l namespace -d 'the libpod namespace [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l registries-conf -d 'a registries.conf' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l registries-conf-dir -d 'a registries.conf.d [buildah only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l root -d 'the storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l runroot -d 'the folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l short-name-alias-conf -d 'the file of short image names [buildah only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l ssh -d 'how podman speaks SSH to a remote podman [podman only]' -r -f -a "golang\t''
native\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l storage-driver -d 'the storage driver' -r -f -a "overlay\t''
vfs\t''
btrfs\t''
zfs\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l tls-ca -d 'the certificate authority of a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l tls-cert -d 'the certificate for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l tls-key -d 'the key for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l tmpdir -d 'the folder of libpod\'s state [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l url -d 'the address of a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l volumepath -d 'the folder of volumes [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l engine -d 'build with buildah, podman or a program at a path (default: auto)' -r -f -a "auto\t''
buildah\t''
podman\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l noout -d 'print nothing to stdout [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l debug -d 'same as --log-level=debug'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -s r -l remote -d 'use a remote podman [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l syslog -d 'log to syslog too [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l trace -d 'send traces [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -l transient-store -d 'keep part of the storage\'s state in memory [buildah 1.30 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -s V -l version -d 'Print version'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "build" -d 'Build an image and one labelled image for every stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "bud" -d 'Build an image and one labelled image for every stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "build-using-dockerfile" -d 'Build an image and one labelled image for every stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "plan" -d 'Tell what a build would run and why; nothing is run'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "explain" -d 'Tell why each step of a build ran or did not; between two builds, what differs'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "ls" -d 'List builds, or the images of stages'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "list" -d 'List builds, or the images of stages'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "inspect" -d 'Show a build, a stage or a step as JSON'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "prune" -d 'Remove stage images and what is kept of builds'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "completion" -d 'Write a shell\'s completion script'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "man" -d 'Write the man pages into a folder'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "version" -d 'Show the versions of this program and of the engine'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "info" -d 'Show engine, storage and state folder'
complete -c podman-stagecache -n "__fish_podman_stagecache_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-id -d 'use this build UUID, which no build here had; of several platforms the first has it, the others one made of it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-id-file -d 'write the build UUID to this file, with several platforms one a line' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-id -d 'the name under which builds count as the same, instead of context, Containerfile and target' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-repo -d 'read the shared cache from this repository and write to it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l engine -d 'build with buildah, podman or a program at a path (default: auto)' -r -f -a "auto\t''
buildah\t''
podman\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l keep-stages -d 'keep the stage images of the last N builds (default: 3)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l keep-storage -d 'remove old stage images until the cache is no larger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l public-arg -d 'show this build argument\'s value in records, not only its digest' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-from -d 'read the shared cache from this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-to -d 'write the shared cache to this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l metadata-file -d 'write the build\'s record to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l progress -d 'how progress is shown' -r -f -a "auto\t''
tty\t''
plain\t''
quiet\t''
rawjson\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l arch -d 'build for this architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-arg -d 'set a build argument, from the environment without a value' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-arg-file -d 'read build arguments from a file of NAME=VALUE lines' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-context -d 'an additional context: a folder, a URL or container-image://IMAGE' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-ttl -d 'only use what is younger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpp-flag -d 'an argument for the preprocessor of a Containerfile.in' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s f -l file -d 'the Containerfile, - for stdin, or a URL' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l from -d 'use this image in the first FROM' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l ignorefile -d 'use this ignore file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l jobs -d 'run this many steps at the same time (default: the number of cores)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l logfile -d 'write what the steps print to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l loglevel -d 'no effect, as with the engines' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l os -d 'build for this operating system' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l platform -d 'build for these platforms' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l pull -d 'when to pull the images that the build names' -r -f -a "always\t''
missing\t''
never\t''
newer\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l source-policy-file -d 'a policy that allows, denies or replaces images and URLs [buildah 1.44 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l variant -d 'build for this variant of the architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l add-host -d 'add a line to /etc/hosts for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cap-add -d 'give RUN this capability' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cap-drop -d 'take this capability from RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cdi-config-dir -d 'a folder of CDI files [buildah 1.36 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cgroupns -d 'the cgroup namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cni-config-dir -d 'a folder of CNI network files' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cni-plugin-path -d 'a folder of CNI plugins' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l device -d 'give RUN this device' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l dns -d 'the name servers of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l dns-option -d 'an option for RUN\'s resolv.conf' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l dns-search -d 'a search domain of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l env -d 'set a variable for RUN and in the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l format -d 'the image format' -r -f -a "oci\t''
docker\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l group-add -d 'give RUN this group [buildah 1.29 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l hooks-dir -d 'a folder of OCI hooks' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l ipc -d 'the IPC namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l isolation -d 'how RUN is isolated' -r -f -a "oci\t''
rootless\t''
chroot\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l mount -d 'a mount for each RUN [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l network -d 'the network of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l pid -d 'the PID namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l runtime -d 'the OCI runtime' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l runtime-flag -d 'a flag for the OCI runtime' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l security-opt -d 'a security option of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l shm-size -d 'the size of RUN\'s /dev/shm' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l source-date-epoch -d 'the time of images and history [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l timestamp -d 'the time of images, history and files' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l ulimit -d 'a limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l unsetenv -d 'take a variable out of the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l userns -d 'the user namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l userns-gid-map -d 'the group ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l userns-gid-map-group -d 'the /etc/subgid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l userns-uid-map -d 'the user ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l userns-uid-map-user -d 'the /etc/subuid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l uts -d 'the UTS namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s v -l volume -d 'mount a folder of the host for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l authfile -d 'credentials for registries' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l blob-cache -d 'a folder of image blobs' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cert-dir -d 'certificates for registries' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cgroup-parent -d 'the parent cgroup of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l compression-format -d 'how layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l compression-level -d 'how much layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpu-period -d 'the CPU period of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpu-quota -d 'the CPU quota of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s c -l cpu-shares -d 'the CPU weight of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpuset-cpus -d 'the CPUs for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpuset-mems -d 'the memory nodes for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l creds -d 'credentials for a registry' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l decryption-key -d 'a key for encrypted images' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s m -l memory -d 'the memory limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l memory-swap -d 'the limit of memory and swap of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l retry -d 'how often a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l retry-delay -d 'how long to wait before a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l rusage-logfile -d 'write the resources that each step used to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l secret -d 'a secret for RUN --mount=type=secret' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l signature-policy -d 'a signature policy' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l ssh -d 'an SSH agent or key for RUN --mount=type=ssh' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l annotation -d 'annotate the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cw -d 'make a confidential workload of the image [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l iidfile -d 'write the image id to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l iidfile-raw -d 'write the image id without sha256: to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l label -d 'label the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l layer-label -d 'label the images of the steps before the last [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l manifest -d 'add the image to this manifest list' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l os-feature -d 'an OS feature that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l os-version -d 'the OS version that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s o -l output -d 'write the image\'s files to a folder or tar file' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom -d 'scan the build with a preset [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-image-output -d 'put the scan\'s SBOM into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-image-purl-output -d 'put the scan\'s list of packages into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-merge-strategy -d 'how several scans become one [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-output -d 'write the scan\'s SBOM to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-purl-output -d 'write the scan\'s list of packages to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-scanner-command -d 'the scanner\'s command [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sbom-scanner-image -d 'the scanner\'s image [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l sign-by -d 'sign the image with this key' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s t -l tag -d 'name the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l unsetannotation -d 'take out an annotation of the base image [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l unsetlabel -d 'take out a label of the base image [buildah 1.33 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l out -d 'write podman\'s stdout to this file [buildah 1.31 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cdi-spec-dir -d 'a folder of CDI files [buildah 1.42 and later, podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cgroup-manager -d 'how cgroups are managed' -r -f -a "cgroupfs\t''
systemd\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l default-mounts-file -d 'a file of mounts for each container' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l module -d 'load a module of containers.conf [buildah 1.32 and later, podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l network-cmd-path -d 'the program for rootless networks [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l network-config-dir -d 'a folder of network files [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l storage-opt -d 'an option for the storage driver' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l config -d 'a folder with credentials for registries [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l conmon -d 'the conmon program [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l connection -d 'the connection to a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cpu-profile -d 'write a CPU profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l events-backend -d 'where events go [podman only]' -r -f -a "file\t''
journald\t''
none\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l identity -d 'the SSH key for a remote podman [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l imagestore -d 'a storage for images apart from that for containers [buildah 1.32 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l log-level -d 'what the engine logs' -r -f -a "trace\t''
debug\t''
info\t''
warn\t''
error\t''
fatal\t''
panic\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l max-workers -d 'how much podman does at the same time [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l memory-profile -d 'write a memory profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l namespace -d 'the libpod namespace [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l registries-conf -d 'a registries.conf' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l registries-conf-dir -d 'a registries.conf.d [buildah only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l root -d 'the storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l runroot -d 'the folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l short-name-alias-conf -d 'the file of short image names [buildah only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l storage-driver -d 'the storage driver' -r -f -a "overlay\t''
vfs\t''
btrfs\t''
zfs\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l tls-ca -d 'the certificate authority of a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l tls-cert -d 'the certificate for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l tls-key -d 'the key for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l tmpdir -d 'the folder of libpod\'s state [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l url -d 'the address of a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l volumepath -d 'the folder of volumes [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l target -d 'build this stage' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l no-cache-filter -d 'do not use the cache for these stages' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l build-id-label -d 'label the stage images with the build UUID'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l cache-required -d 'fail when a cache repository cannot be read or written'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l ignore-file-mode -d 'take modes of context files for git\'s: executable or not'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l no-wait -d 'run a step though another build runs the same one just now, instead of waiting for what it makes'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l patch-layers -d 'make a COPY\'s layer from that of last time where nothing but contents changed (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l print-containerfiles -d 'show each stage\'s Containerfile as it is really built'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l save-stages -d 'leave exactly one unnamed image for each stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l stage-labels -d 'label stage images with their name and base (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l all-platforms -d 'build for every platform of the base image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l compress -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l disable-content-trust -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l force-rm -d 'remove working containers even when the build fails'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l layers -d 'a layer for each instruction (default), or one for each stage with --layers=false'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l load -d 'no effect, for those who are used to buildx'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l logsplit -d 'a log file for each platform'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l no-cache -d 'do not use the cache'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l pull-always -d 'same as --pull=always'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l pull-never -d 'same as --pull=never'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s q -l quiet -d 'print the image id only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l rm -d 'remove working containers after a build'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l skip-unused-stages -d 'do not build stages that the target does not need (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l stdin -d 'pass stdin to RUN'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l compat-volumes -d 'keep the contents of volumes during RUN [buildah 1.37 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l http-proxy -d 'pass proxy variables on to RUN (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l no-hostname -d 'leave the image\'s /etc/hostname alone [buildah 1.33 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l no-hosts -d 'leave the image\'s /etc/hosts alone'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l rewrite-timestamp -d 'no file of a layer is newer than --source-date-epoch [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s D -l disable-compression -d 'do not compress layers (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l force-compression -d 'compress again what is compressed otherwise [buildah 1.44 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l log-rusage -d 'print the resources that each step used'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l tls-verify -d 'require HTTPS and verify certificates (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l created-annotation -d 'annotate the image with its time (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l identity-label -d 'label the image with the engine\'s version (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l inherit-annotations -d 'keep the base image\'s annotations (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l inherit-labels -d 'keep the base image\'s labels (default: true) [buildah 1.40 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l omit-history -d 'leave the history out of the image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l squash -d 'one layer: of the whole image with buildah, of what is new with podman'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l squash-all -d 'one layer of the whole image, which is buildah\'s --squash'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l noout -d 'print nothing to stdout [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l debug -d 'same as --log-level=debug'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l remote -d 'use a remote podman [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l syslog -d 'log to syslog too [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l trace -d 'send traces [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -l transient-store -d 'keep part of the storage\'s state in memory [buildah 1.30 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-id -d 'use this build UUID, which no build here had; of several platforms the first has it, the others one made of it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-id-file -d 'write the build UUID to this file, with several platforms one a line' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-id -d 'the name under which builds count as the same, instead of context, Containerfile and target' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-repo -d 'read the shared cache from this repository and write to it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l engine -d 'build with buildah, podman or a program at a path (default: auto)' -r -f -a "auto\t''
buildah\t''
podman\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l keep-stages -d 'keep the stage images of the last N builds (default: 3)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l keep-storage -d 'remove old stage images until the cache is no larger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l public-arg -d 'show this build argument\'s value in records, not only its digest' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-from -d 'read the shared cache from this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-to -d 'write the shared cache to this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l metadata-file -d 'write the build\'s record to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l progress -d 'how progress is shown' -r -f -a "auto\t''
tty\t''
plain\t''
quiet\t''
rawjson\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l arch -d 'build for this architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-arg -d 'set a build argument, from the environment without a value' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-arg-file -d 'read build arguments from a file of NAME=VALUE lines' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-context -d 'an additional context: a folder, a URL or container-image://IMAGE' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-ttl -d 'only use what is younger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpp-flag -d 'an argument for the preprocessor of a Containerfile.in' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s f -l file -d 'the Containerfile, - for stdin, or a URL' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l from -d 'use this image in the first FROM' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l ignorefile -d 'use this ignore file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l jobs -d 'run this many steps at the same time (default: the number of cores)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l logfile -d 'write what the steps print to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l loglevel -d 'no effect, as with the engines' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l os -d 'build for this operating system' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l platform -d 'build for these platforms' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l pull -d 'when to pull the images that the build names' -r -f -a "always\t''
missing\t''
never\t''
newer\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l source-policy-file -d 'a policy that allows, denies or replaces images and URLs [buildah 1.44 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l variant -d 'build for this variant of the architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l add-host -d 'add a line to /etc/hosts for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cap-add -d 'give RUN this capability' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cap-drop -d 'take this capability from RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cdi-config-dir -d 'a folder of CDI files [buildah 1.36 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cgroupns -d 'the cgroup namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cni-config-dir -d 'a folder of CNI network files' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cni-plugin-path -d 'a folder of CNI plugins' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l device -d 'give RUN this device' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l dns -d 'the name servers of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l dns-option -d 'an option for RUN\'s resolv.conf' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l dns-search -d 'a search domain of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l env -d 'set a variable for RUN and in the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l format -d 'the image format' -r -f -a "oci\t''
docker\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l group-add -d 'give RUN this group [buildah 1.29 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l hooks-dir -d 'a folder of OCI hooks' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l ipc -d 'the IPC namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l isolation -d 'how RUN is isolated' -r -f -a "oci\t''
rootless\t''
chroot\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l mount -d 'a mount for each RUN [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l network -d 'the network of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l pid -d 'the PID namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l runtime -d 'the OCI runtime' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l runtime-flag -d 'a flag for the OCI runtime' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l security-opt -d 'a security option of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l shm-size -d 'the size of RUN\'s /dev/shm' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l source-date-epoch -d 'the time of images and history [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l timestamp -d 'the time of images, history and files' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l ulimit -d 'a limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l unsetenv -d 'take a variable out of the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l userns -d 'the user namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l userns-gid-map -d 'the group ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l userns-gid-map-group -d 'the /etc/subgid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l userns-uid-map -d 'the user ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l userns-uid-map-user -d 'the /etc/subuid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l uts -d 'the UTS namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s v -l volume -d 'mount a folder of the host for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l authfile -d 'credentials for registries' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l blob-cache -d 'a folder of image blobs' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cert-dir -d 'certificates for registries' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cgroup-parent -d 'the parent cgroup of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l compression-format -d 'how layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l compression-level -d 'how much layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpu-period -d 'the CPU period of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpu-quota -d 'the CPU quota of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s c -l cpu-shares -d 'the CPU weight of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpuset-cpus -d 'the CPUs for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpuset-mems -d 'the memory nodes for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l creds -d 'credentials for a registry' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l decryption-key -d 'a key for encrypted images' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s m -l memory -d 'the memory limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l memory-swap -d 'the limit of memory and swap of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l retry -d 'how often a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l retry-delay -d 'how long to wait before a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l rusage-logfile -d 'write the resources that each step used to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l secret -d 'a secret for RUN --mount=type=secret' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l signature-policy -d 'a signature policy' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l ssh -d 'an SSH agent or key for RUN --mount=type=ssh' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l annotation -d 'annotate the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cw -d 'make a confidential workload of the image [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l iidfile -d 'write the image id to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l iidfile-raw -d 'write the image id without sha256: to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l label -d 'label the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l layer-label -d 'label the images of the steps before the last [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l manifest -d 'add the image to this manifest list' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l os-feature -d 'an OS feature that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l os-version -d 'the OS version that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s o -l output -d 'write the image\'s files to a folder or tar file' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom -d 'scan the build with a preset [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-image-output -d 'put the scan\'s SBOM into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-image-purl-output -d 'put the scan\'s list of packages into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-merge-strategy -d 'how several scans become one [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-output -d 'write the scan\'s SBOM to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-purl-output -d 'write the scan\'s list of packages to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-scanner-command -d 'the scanner\'s command [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sbom-scanner-image -d 'the scanner\'s image [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l sign-by -d 'sign the image with this key' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s t -l tag -d 'name the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l unsetannotation -d 'take out an annotation of the base image [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l unsetlabel -d 'take out a label of the base image [buildah 1.33 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l out -d 'write podman\'s stdout to this file [buildah 1.31 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cdi-spec-dir -d 'a folder of CDI files [buildah 1.42 and later, podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cgroup-manager -d 'how cgroups are managed' -r -f -a "cgroupfs\t''
systemd\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l default-mounts-file -d 'a file of mounts for each container' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l module -d 'load a module of containers.conf [buildah 1.32 and later, podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l network-cmd-path -d 'the program for rootless networks [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l network-config-dir -d 'a folder of network files [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l storage-opt -d 'an option for the storage driver' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l config -d 'a folder with credentials for registries [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l conmon -d 'the conmon program [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l connection -d 'the connection to a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cpu-profile -d 'write a CPU profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l events-backend -d 'where events go [podman only]' -r -f -a "file\t''
journald\t''
none\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l identity -d 'the SSH key for a remote podman [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l imagestore -d 'a storage for images apart from that for containers [buildah 1.32 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l log-level -d 'what the engine logs' -r -f -a "trace\t''
debug\t''
info\t''
warn\t''
error\t''
fatal\t''
panic\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l max-workers -d 'how much podman does at the same time [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l memory-profile -d 'write a memory profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l namespace -d 'the libpod namespace [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l registries-conf -d 'a registries.conf' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l registries-conf-dir -d 'a registries.conf.d [buildah only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l root -d 'the storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l runroot -d 'the folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l short-name-alias-conf -d 'the file of short image names [buildah only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l storage-driver -d 'the storage driver' -r -f -a "overlay\t''
vfs\t''
btrfs\t''
zfs\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l tls-ca -d 'the certificate authority of a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l tls-cert -d 'the certificate for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l tls-key -d 'the key for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l tmpdir -d 'the folder of libpod\'s state [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l url -d 'the address of a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l volumepath -d 'the folder of volumes [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l target -d 'build this stage' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l no-cache-filter -d 'do not use the cache for these stages' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l build-id-label -d 'label the stage images with the build UUID'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l cache-required -d 'fail when a cache repository cannot be read or written'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l ignore-file-mode -d 'take modes of context files for git\'s: executable or not'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l no-wait -d 'run a step though another build runs the same one just now, instead of waiting for what it makes'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l patch-layers -d 'make a COPY\'s layer from that of last time where nothing but contents changed (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l print-containerfiles -d 'show each stage\'s Containerfile as it is really built'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l save-stages -d 'leave exactly one unnamed image for each stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l stage-labels -d 'label stage images with their name and base (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l all-platforms -d 'build for every platform of the base image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l compress -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l disable-content-trust -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l force-rm -d 'remove working containers even when the build fails'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l layers -d 'a layer for each instruction (default), or one for each stage with --layers=false'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l load -d 'no effect, for those who are used to buildx'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l logsplit -d 'a log file for each platform'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l no-cache -d 'do not use the cache'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l pull-always -d 'same as --pull=always'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l pull-never -d 'same as --pull=never'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s q -l quiet -d 'print the image id only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l rm -d 'remove working containers after a build'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l skip-unused-stages -d 'do not build stages that the target does not need (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l stdin -d 'pass stdin to RUN'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l compat-volumes -d 'keep the contents of volumes during RUN [buildah 1.37 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l http-proxy -d 'pass proxy variables on to RUN (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l no-hostname -d 'leave the image\'s /etc/hostname alone [buildah 1.33 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l no-hosts -d 'leave the image\'s /etc/hosts alone'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l rewrite-timestamp -d 'no file of a layer is newer than --source-date-epoch [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s D -l disable-compression -d 'do not compress layers (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l force-compression -d 'compress again what is compressed otherwise [buildah 1.44 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l log-rusage -d 'print the resources that each step used'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l tls-verify -d 'require HTTPS and verify certificates (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l created-annotation -d 'annotate the image with its time (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l identity-label -d 'label the image with the engine\'s version (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l inherit-annotations -d 'keep the base image\'s annotations (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l inherit-labels -d 'keep the base image\'s labels (default: true) [buildah 1.40 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l omit-history -d 'leave the history out of the image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l squash -d 'one layer: of the whole image with buildah, of what is new with podman'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l squash-all -d 'one layer of the whole image, which is buildah\'s --squash'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l noout -d 'print nothing to stdout [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l debug -d 'same as --log-level=debug'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l remote -d 'use a remote podman [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l syslog -d 'log to syslog too [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l trace -d 'send traces [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -l transient-store -d 'keep part of the storage\'s state in memory [buildah 1.30 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand bud" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-id -d 'use this build UUID, which no build here had; of several platforms the first has it, the others one made of it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-id-file -d 'write the build UUID to this file, with several platforms one a line' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-id -d 'the name under which builds count as the same, instead of context, Containerfile and target' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-repo -d 'read the shared cache from this repository and write to it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l engine -d 'build with buildah, podman or a program at a path (default: auto)' -r -f -a "auto\t''
buildah\t''
podman\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l keep-stages -d 'keep the stage images of the last N builds (default: 3)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l keep-storage -d 'remove old stage images until the cache is no larger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l public-arg -d 'show this build argument\'s value in records, not only its digest' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-from -d 'read the shared cache from this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-to -d 'write the shared cache to this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l metadata-file -d 'write the build\'s record to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l progress -d 'how progress is shown' -r -f -a "auto\t''
tty\t''
plain\t''
quiet\t''
rawjson\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l arch -d 'build for this architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-arg -d 'set a build argument, from the environment without a value' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-arg-file -d 'read build arguments from a file of NAME=VALUE lines' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-context -d 'an additional context: a folder, a URL or container-image://IMAGE' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-ttl -d 'only use what is younger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpp-flag -d 'an argument for the preprocessor of a Containerfile.in' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s f -l file -d 'the Containerfile, - for stdin, or a URL' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l from -d 'use this image in the first FROM' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l ignorefile -d 'use this ignore file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l jobs -d 'run this many steps at the same time (default: the number of cores)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l logfile -d 'write what the steps print to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l loglevel -d 'no effect, as with the engines' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l os -d 'build for this operating system' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l platform -d 'build for these platforms' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l pull -d 'when to pull the images that the build names' -r -f -a "always\t''
missing\t''
never\t''
newer\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l source-policy-file -d 'a policy that allows, denies or replaces images and URLs [buildah 1.44 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l variant -d 'build for this variant of the architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l add-host -d 'add a line to /etc/hosts for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cap-add -d 'give RUN this capability' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cap-drop -d 'take this capability from RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cdi-config-dir -d 'a folder of CDI files [buildah 1.36 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cgroupns -d 'the cgroup namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cni-config-dir -d 'a folder of CNI network files' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cni-plugin-path -d 'a folder of CNI plugins' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l device -d 'give RUN this device' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l dns -d 'the name servers of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l dns-option -d 'an option for RUN\'s resolv.conf' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l dns-search -d 'a search domain of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l env -d 'set a variable for RUN and in the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l format -d 'the image format' -r -f -a "oci\t''
docker\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l group-add -d 'give RUN this group [buildah 1.29 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l hooks-dir -d 'a folder of OCI hooks' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l ipc -d 'the IPC namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l isolation -d 'how RUN is isolated' -r -f -a "oci\t''
rootless\t''
chroot\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l mount -d 'a mount for each RUN [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l network -d 'the network of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l pid -d 'the PID namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l runtime -d 'the OCI runtime' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l runtime-flag -d 'a flag for the OCI runtime' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l security-opt -d 'a security option of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l shm-size -d 'the size of RUN\'s /dev/shm' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l source-date-epoch -d 'the time of images and history [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l timestamp -d 'the time of images, history and files' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l ulimit -d 'a limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l unsetenv -d 'take a variable out of the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l userns -d 'the user namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l userns-gid-map -d 'the group ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l userns-gid-map-group -d 'the /etc/subgid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l userns-uid-map -d 'the user ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l userns-uid-map-user -d 'the /etc/subuid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l uts -d 'the UTS namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s v -l volume -d 'mount a folder of the host for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l authfile -d 'credentials for registries' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l blob-cache -d 'a folder of image blobs' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cert-dir -d 'certificates for registries' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cgroup-parent -d 'the parent cgroup of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l compression-format -d 'how layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l compression-level -d 'how much layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpu-period -d 'the CPU period of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpu-quota -d 'the CPU quota of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s c -l cpu-shares -d 'the CPU weight of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpuset-cpus -d 'the CPUs for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpuset-mems -d 'the memory nodes for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l creds -d 'credentials for a registry' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l decryption-key -d 'a key for encrypted images' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s m -l memory -d 'the memory limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l memory-swap -d 'the limit of memory and swap of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l retry -d 'how often a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l retry-delay -d 'how long to wait before a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l rusage-logfile -d 'write the resources that each step used to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l secret -d 'a secret for RUN --mount=type=secret' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l signature-policy -d 'a signature policy' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l ssh -d 'an SSH agent or key for RUN --mount=type=ssh' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l annotation -d 'annotate the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cw -d 'make a confidential workload of the image [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l iidfile -d 'write the image id to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l iidfile-raw -d 'write the image id without sha256: to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l label -d 'label the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l layer-label -d 'label the images of the steps before the last [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l manifest -d 'add the image to this manifest list' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l os-feature -d 'an OS feature that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l os-version -d 'the OS version that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s o -l output -d 'write the image\'s files to a folder or tar file' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom -d 'scan the build with a preset [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-image-output -d 'put the scan\'s SBOM into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-image-purl-output -d 'put the scan\'s list of packages into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-merge-strategy -d 'how several scans become one [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-output -d 'write the scan\'s SBOM to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-purl-output -d 'write the scan\'s list of packages to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-scanner-command -d 'the scanner\'s command [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sbom-scanner-image -d 'the scanner\'s image [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l sign-by -d 'sign the image with this key' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s t -l tag -d 'name the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l unsetannotation -d 'take out an annotation of the base image [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l unsetlabel -d 'take out a label of the base image [buildah 1.33 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l out -d 'write podman\'s stdout to this file [buildah 1.31 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cdi-spec-dir -d 'a folder of CDI files [buildah 1.42 and later, podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cgroup-manager -d 'how cgroups are managed' -r -f -a "cgroupfs\t''
systemd\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l default-mounts-file -d 'a file of mounts for each container' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l module -d 'load a module of containers.conf [buildah 1.32 and later, podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l network-cmd-path -d 'the program for rootless networks [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l network-config-dir -d 'a folder of network files [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l storage-opt -d 'an option for the storage driver' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l config -d 'a folder with credentials for registries [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l conmon -d 'the conmon program [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l connection -d 'the connection to a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cpu-profile -d 'write a CPU profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l events-backend -d 'where events go [podman only]' -r -f -a "file\t''
journald\t''
none\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l identity -d 'the SSH key for a remote podman [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l imagestore -d 'a storage for images apart from that for containers [buildah 1.32 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l log-level -d 'what the engine logs' -r -f -a "trace\t''
debug\t''
info\t''
warn\t''
error\t''
fatal\t''
panic\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l max-workers -d 'how much podman does at the same time [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l memory-profile -d 'write a memory profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l namespace -d 'the libpod namespace [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l registries-conf -d 'a registries.conf' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l registries-conf-dir -d 'a registries.conf.d [buildah only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l root -d 'the storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l runroot -d 'the folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l short-name-alias-conf -d 'the file of short image names [buildah only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l storage-driver -d 'the storage driver' -r -f -a "overlay\t''
vfs\t''
btrfs\t''
zfs\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l tls-ca -d 'the certificate authority of a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l tls-cert -d 'the certificate for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l tls-key -d 'the key for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l tmpdir -d 'the folder of libpod\'s state [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l url -d 'the address of a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l volumepath -d 'the folder of volumes [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l target -d 'build this stage' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l no-cache-filter -d 'do not use the cache for these stages' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l build-id-label -d 'label the stage images with the build UUID'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l cache-required -d 'fail when a cache repository cannot be read or written'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l ignore-file-mode -d 'take modes of context files for git\'s: executable or not'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l no-wait -d 'run a step though another build runs the same one just now, instead of waiting for what it makes'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l patch-layers -d 'make a COPY\'s layer from that of last time where nothing but contents changed (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l print-containerfiles -d 'show each stage\'s Containerfile as it is really built'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l save-stages -d 'leave exactly one unnamed image for each stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l stage-labels -d 'label stage images with their name and base (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l all-platforms -d 'build for every platform of the base image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l compress -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l disable-content-trust -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l force-rm -d 'remove working containers even when the build fails'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l layers -d 'a layer for each instruction (default), or one for each stage with --layers=false'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l load -d 'no effect, for those who are used to buildx'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l logsplit -d 'a log file for each platform'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l no-cache -d 'do not use the cache'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l pull-always -d 'same as --pull=always'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l pull-never -d 'same as --pull=never'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s q -l quiet -d 'print the image id only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l rm -d 'remove working containers after a build'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l skip-unused-stages -d 'do not build stages that the target does not need (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l stdin -d 'pass stdin to RUN'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l compat-volumes -d 'keep the contents of volumes during RUN [buildah 1.37 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l http-proxy -d 'pass proxy variables on to RUN (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l no-hostname -d 'leave the image\'s /etc/hostname alone [buildah 1.33 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l no-hosts -d 'leave the image\'s /etc/hosts alone'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l rewrite-timestamp -d 'no file of a layer is newer than --source-date-epoch [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s D -l disable-compression -d 'do not compress layers (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l force-compression -d 'compress again what is compressed otherwise [buildah 1.44 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l log-rusage -d 'print the resources that each step used'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l tls-verify -d 'require HTTPS and verify certificates (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l created-annotation -d 'annotate the image with its time (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l identity-label -d 'label the image with the engine\'s version (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l inherit-annotations -d 'keep the base image\'s annotations (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l inherit-labels -d 'keep the base image\'s labels (default: true) [buildah 1.40 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l omit-history -d 'leave the history out of the image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l squash -d 'one layer: of the whole image with buildah, of what is new with podman'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l squash-all -d 'one layer of the whole image, which is buildah\'s --squash'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l noout -d 'print nothing to stdout [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l debug -d 'same as --log-level=debug'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l remote -d 'use a remote podman [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l syslog -d 'log to syslog too [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l trace -d 'send traces [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -l transient-store -d 'keep part of the storage\'s state in memory [buildah 1.30 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand build-using-dockerfile" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-id -d 'use this build UUID, which no build here had; of several platforms the first has it, the others one made of it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-id-file -d 'write the build UUID to this file, with several platforms one a line' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-id -d 'the name under which builds count as the same, instead of context, Containerfile and target' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-repo -d 'read the shared cache from this repository and write to it' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l engine -d 'build with buildah, podman or a program at a path (default: auto)' -r -f -a "auto\t''
buildah\t''
podman\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l keep-stages -d 'keep the stage images of the last N builds (default: 3)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l keep-storage -d 'remove old stage images until the cache is no larger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l public-arg -d 'show this build argument\'s value in records, not only its digest' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-from -d 'read the shared cache from this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-to -d 'write the shared cache to this repository' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l metadata-file -d 'write the build\'s record to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l progress -d 'how progress is shown' -r -f -a "auto\t''
tty\t''
plain\t''
quiet\t''
rawjson\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l arch -d 'build for this architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-arg -d 'set a build argument, from the environment without a value' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-arg-file -d 'read build arguments from a file of NAME=VALUE lines' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-context -d 'an additional context: a folder, a URL or container-image://IMAGE' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-ttl -d 'only use what is younger than this' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpp-flag -d 'an argument for the preprocessor of a Containerfile.in' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s f -l file -d 'the Containerfile, - for stdin, or a URL' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l from -d 'use this image in the first FROM' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l ignorefile -d 'use this ignore file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l jobs -d 'run this many steps at the same time (default: the number of cores)' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l logfile -d 'write what the steps print to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l loglevel -d 'no effect, as with the engines' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l os -d 'build for this operating system' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l platform -d 'build for these platforms' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l pull -d 'when to pull the images that the build names' -r -f -a "always\t''
missing\t''
never\t''
newer\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l source-policy-file -d 'a policy that allows, denies or replaces images and URLs [buildah 1.44 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l variant -d 'build for this variant of the architecture' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l add-host -d 'add a line to /etc/hosts for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cap-add -d 'give RUN this capability' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cap-drop -d 'take this capability from RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cdi-config-dir -d 'a folder of CDI files [buildah 1.36 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cgroupns -d 'the cgroup namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cni-config-dir -d 'a folder of CNI network files' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cni-plugin-path -d 'a folder of CNI plugins' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l device -d 'give RUN this device' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l dns -d 'the name servers of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l dns-option -d 'an option for RUN\'s resolv.conf' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l dns-search -d 'a search domain of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l env -d 'set a variable for RUN and in the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l group-add -d 'give RUN this group [buildah 1.29 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l hooks-dir -d 'a folder of OCI hooks' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l ipc -d 'the IPC namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l isolation -d 'how RUN is isolated' -r -f -a "oci\t''
rootless\t''
chroot\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l mount -d 'a mount for each RUN [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l network -d 'the network of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l pid -d 'the PID namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l runtime -d 'the OCI runtime' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l runtime-flag -d 'a flag for the OCI runtime' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l security-opt -d 'a security option of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l shm-size -d 'the size of RUN\'s /dev/shm' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l source-date-epoch -d 'the time of images and history [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l timestamp -d 'the time of images, history and files' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l ulimit -d 'a limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l unsetenv -d 'take a variable out of the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l userns -d 'the user namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l userns-gid-map -d 'the group ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l userns-gid-map-group -d 'the /etc/subgid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l userns-uid-map -d 'the user ids of RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l userns-uid-map-user -d 'the /etc/subuid entry for RUN\'s user namespace' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l uts -d 'the UTS namespace of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s v -l volume -d 'mount a folder of the host for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l authfile -d 'credentials for registries' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l blob-cache -d 'a folder of image blobs' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cert-dir -d 'certificates for registries' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cgroup-parent -d 'the parent cgroup of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l compression-format -d 'how layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l compression-level -d 'how much layers are compressed [buildah 1.44 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpu-period -d 'the CPU period of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpu-quota -d 'the CPU quota of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s c -l cpu-shares -d 'the CPU weight of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpuset-cpus -d 'the CPUs for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpuset-mems -d 'the memory nodes for RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l creds -d 'credentials for a registry' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l decryption-key -d 'a key for encrypted images' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s m -l memory -d 'the memory limit of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l memory-swap -d 'the limit of memory and swap of RUN' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l retry -d 'how often a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l retry-delay -d 'how long to wait before a pull or push is tried again' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l rusage-logfile -d 'write the resources that each step used to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l secret -d 'a secret for RUN --mount=type=secret' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l signature-policy -d 'a signature policy' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l ssh -d 'an SSH agent or key for RUN --mount=type=ssh' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l annotation -d 'annotate the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cw -d 'make a confidential workload of the image [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l iidfile -d 'write the image id to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l iidfile-raw -d 'write the image id without sha256: to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l label -d 'label the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l layer-label -d 'label the images of the steps before the last [buildah 1.32 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l manifest -d 'add the image to this manifest list' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l os-feature -d 'an OS feature that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l os-version -d 'the OS version that the image requires' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s o -l output -d 'write the image\'s files to a folder or tar file' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom -d 'scan the build with a preset [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-image-output -d 'put the scan\'s SBOM into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-image-purl-output -d 'put the scan\'s list of packages into the image here [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-merge-strategy -d 'how several scans become one [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-output -d 'write the scan\'s SBOM to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-purl-output -d 'write the scan\'s list of packages to this file [buildah 1.35 and later]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-scanner-command -d 'the scanner\'s command [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sbom-scanner-image -d 'the scanner\'s image [buildah 1.35 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l sign-by -d 'sign the image with this key' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s t -l tag -d 'name the image' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l unsetannotation -d 'take out an annotation of the base image [buildah 1.41 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l unsetlabel -d 'take out a label of the base image [buildah 1.33 and later]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l out -d 'write podman\'s stdout to this file [buildah 1.31 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cdi-spec-dir -d 'a folder of CDI files [buildah 1.42 and later, podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cgroup-manager -d 'how cgroups are managed' -r -f -a "cgroupfs\t''
systemd\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l default-mounts-file -d 'a file of mounts for each container' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l module -d 'load a module of containers.conf [buildah 1.32 and later, podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l network-cmd-path -d 'the program for rootless networks [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l network-config-dir -d 'a folder of network files [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l storage-opt -d 'an option for the storage driver' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l config -d 'a folder with credentials for registries [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l conmon -d 'the conmon program [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l connection -d 'the connection to a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cpu-profile -d 'write a CPU profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l events-backend -d 'where events go [podman only]' -r -f -a "file\t''
journald\t''
none\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l identity -d 'the SSH key for a remote podman [podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l imagestore -d 'a storage for images apart from that for containers [buildah 1.32 and later]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l log-level -d 'what the engine logs' -r -f -a "trace\t''
debug\t''
info\t''
warn\t''
error\t''
fatal\t''
panic\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l max-workers -d 'how much podman does at the same time [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l memory-profile -d 'write a memory profile to this file' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l namespace -d 'the libpod namespace [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l registries-conf -d 'a registries.conf' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l registries-conf-dir -d 'a registries.conf.d [buildah only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l root -d 'the storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l runroot -d 'the folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l short-name-alias-conf -d 'the file of short image names [buildah only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l storage-driver -d 'the storage driver' -r -f -a "overlay\t''
vfs\t''
btrfs\t''
zfs\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l tls-ca -d 'the certificate authority of a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l tls-cert -d 'the certificate for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l tls-key -d 'the key for a remote podman [buildah 1.43 and later, podman only]' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l tmpdir -d 'the folder of libpod\'s state [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l url -d 'the address of a remote podman [podman only]' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l volumepath -d 'the folder of volumes [podman only]' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l target -d 'build this stage' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l no-cache-filter -d 'do not use the cache for these stages' -r -f
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l format -d '`json` for the plan as JSON; oci or docker: the format of the image' -r -f -a "json\t''
oci\t''
docker\t''"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l build-id-label -d 'label the stage images with the build UUID'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l cache-required -d 'fail when a cache repository cannot be read or written'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l ignore-file-mode -d 'take modes of context files for git\'s: executable or not'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l no-wait -d 'run a step though another build runs the same one just now, instead of waiting for what it makes'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l patch-layers -d 'make a COPY\'s layer from that of last time where nothing but contents changed (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l save-stages -d 'leave exactly one unnamed image for each stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l stage-labels -d 'label stage images with their name and base (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l all-platforms -d 'build for every platform of the base image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l compress -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l disable-content-trust -d 'no effect, as with the engines'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l force-rm -d 'remove working containers even when the build fails'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l layers -d 'a layer for each instruction (default), or one for each stage with --layers=false'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l load -d 'no effect, for those who are used to buildx'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l logsplit -d 'a log file for each platform'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l no-cache -d 'do not use the cache'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l pull-always -d 'same as --pull=always'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l pull-never -d 'same as --pull=never'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s q -l quiet -d 'print the image id only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l rm -d 'remove working containers after a build'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l skip-unused-stages -d 'do not build stages that the target does not need (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l stdin -d 'pass stdin to RUN'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l compat-volumes -d 'keep the contents of volumes during RUN [buildah 1.37 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l http-proxy -d 'pass proxy variables on to RUN (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l no-hostname -d 'leave the image\'s /etc/hostname alone [buildah 1.33 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l no-hosts -d 'leave the image\'s /etc/hosts alone'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l rewrite-timestamp -d 'no file of a layer is newer than --source-date-epoch [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s D -l disable-compression -d 'do not compress layers (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l force-compression -d 'compress again what is compressed otherwise [buildah 1.44 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l log-rusage -d 'print the resources that each step used'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l tls-verify -d 'require HTTPS and verify certificates (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l created-annotation -d 'annotate the image with its time (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l identity-label -d 'label the image with the engine\'s version (default: true)'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l inherit-annotations -d 'keep the base image\'s annotations (default: true) [buildah 1.41 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l inherit-labels -d 'keep the base image\'s labels (default: true) [buildah 1.40 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l omit-history -d 'leave the history out of the image'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l squash -d 'one layer: of the whole image with buildah, of what is new with podman'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l squash-all -d 'one layer of the whole image, which is buildah\'s --squash'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l noout -d 'print nothing to stdout [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l debug -d 'same as --log-level=debug'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l remote -d 'use a remote podman [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l syslog -d 'log to syslog too [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l trace -d 'send traces [podman only]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l transient-store -d 'keep part of the storage\'s state in memory [buildah 1.30 and later]'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -l print-containerfiles -l containerfiles -d 'show each stage\'s Containerfile as it is really built'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand plan" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -s f -l format -d '`json` for the documented shape' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand explain" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s f -l filter -d 'Only what matches' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l format -d '`json`, or a Go template, with `table ` in front for columns' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s n -l last -d 'Only the last N builds' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s s -l stages -d 'List the images of stages instead of builds'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s a -l all -d 'With --stages: images that are no longer in the storage too'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s q -l quiet -d 'Ids only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l no-trunc -d 'Whole ids'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -l noheading -d 'No headings'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand ls" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s f -l filter -d 'Only what matches' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l format -d '`json`, or a Go template, with `table ` in front for columns' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s n -l last -d 'Only the last N builds' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s s -l stages -d 'List the images of stages instead of builds'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s a -l all -d 'With --stages: images that are no longer in the storage too'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s q -l quiet -d 'Ids only'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l no-trunc -d 'Whole ids'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -l noheading -d 'No headings'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand list" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -s f -l format -d 'A Go template such as \'{{.status}}\'; `json` for JSON without line breaks' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l older-than -d 'Stage images that no build has used for so long: 90m, 24h, 14d, 2w' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l keep-stages -d 'All but the last N images of each stage of each build' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l stage -d 'Only images of this stage' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l keep-storage -d 'The oldest images until the cache is no larger than this: 20GB, 10%' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l format -d '`json` for the documented shape' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -s n -l dry-run -d 'Say what would go, and remove nothing'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -s a -l all -d 'Every stage image; with no other choice also records and keys'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -l records -d 'Records of builds too: those older than --older-than, else those that have no image left'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand prune" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand completion" -s f -l file -d 'Write to this file instead of standard output' -r -F
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand completion" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand man" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -s f -l format -d '`json`, or a Go template such as \'{{.engine.name}}\'' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand version" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -s f -l format -d '`json`, or a Go template such as \'{{.engine.name}}\'' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -l engine -d 'buildah, podman, or a program at a path' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -l root -d 'The storage\'s folder' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -l runroot -d 'The folder of the storage\'s state' -r -f -a "(__fish_complete_directories)"
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -l storage-driver -d 'The storage driver' -r
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand info" -s h -l help -d 'Print help'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "build" -d 'Build an image and one labelled image for every stage'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "plan" -d 'Tell what a build would run and why; nothing is run'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "explain" -d 'Tell why each step of a build ran or did not; between two builds, what differs'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "ls" -d 'List builds, or the images of stages'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "inspect" -d 'Show a build, a stage or a step as JSON'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "prune" -d 'Remove stage images and what is kept of builds'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "completion" -d 'Write a shell\'s completion script'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "man" -d 'Write the man pages into a folder'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "version" -d 'Show the versions of this program and of the engine'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "info" -d 'Show engine, storage and state folder'
complete -c podman-stagecache -n "__fish_podman_stagecache_using_subcommand help; and not __fish_seen_subcommand_from build plan explain ls inspect prune completion man version info help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
