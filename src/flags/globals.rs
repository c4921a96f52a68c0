//! The engines' own flags, which choose a storage, a registry configuration, a connection, a log level.
//!
//! They stand before `build`; behind it the long forms count too, the short ones mean something else
//! there (`-c`, `-v`) or nothing (`-r`). Names that `build` has as well (`--runtime`, `--ssh`,
//! `--hooks-dir`, ...) are the engine's own before `build` and those of `build` behind it.

use super::rows::rows;
use super::table::{Engines, FlagSpec, Kind, Role};

/// Every flag of `buildah` and `podman` themselves.
pub const GLOBALS: &[FlagSpec] = rows! {
    // Read here.
    Ours "help" Bool .short('h')
        "print help", "asks for a text";
    Ours "noout" Bool .of(Engines::Podman)
        "print nothing to stdout", "a step call's stdout is ours";
    Ours "out" Value .file().of(Engines::Podman).since(31)
        "write podman's stdout to this file", "a step call's stdout is ours";
    Ours "version" Bool .short('v')
        "print the version", "asks for a text";

    // Can change what a step produces.
    Key "cdi-spec-dir" Append .dir().of(Engines::Podman).since(42)
        "a folder of CDI files", "decides what a device brings into RUN";
    Key "cgroup-manager" Value .choice("MANAGER", &["cgroupfs", "systemd"])
        "how cgroups are managed", "not known to make no difference";
    Key "default-mounts-file" Value .file().hidden()
        "a file of mounts for each container", "RUN can read what is mounted";
    Key "hooks-dir" Append .dir().of(Engines::Podman)
        "a folder of OCI hooks", "a hook can change the container";
    Key "module" Append .text("MODULE").of(Engines::Podman).since(32)
        "load a module of containers.conf", "can set what other flags set";
    Key "network-cmd-path" Value .file().of(Engines::Podman)
        "the program for rootless networks", "decides what RUN's network reaches";
    Key "network-config-dir" Value .dir().of(Engines::Podman).alias(&["cni-config-dir"])
        "a folder of network files", "decides what RUN's network reaches";
    Key "runtime" Value .value("PATH", super::table::ValueType::File).of(Engines::Podman)
        "the OCI runtime", "not known to make no difference";
    Key "runtime-flag" Append .text("FLAG").of(Engines::Podman)
        "a flag for the OCI runtime", "not known to make no difference";
    Key "storage-opt" Append .text("OPTION")
        "an option for the storage driver", "ignore_chown_errors and the like change owners";
    Key "userns-gid-map" CommaList .text("MAP").of(Engines::Buildah)
        "the group ids of user namespaces", "decides owners";
    Key "userns-uid-map" CommaList .text("MAP").of(Engines::Buildah)
        "the user ids of user namespaces", "decides owners";

    // The result is the same.
    Pass "config" Value .dir().of(Engines::Podman)
        "a folder with credentials for registries", "who pulls does not change what is pulled";
    Pass "conmon" Value .file().of(Engines::Podman)
        "the conmon program", "is not used by a build";
    Pass "connection" Value .short('c').text("NAME").of(Engines::Podman)
        "the connection to a remote podman", "says where the engine runs";
    Pass "cpu-profile" Value .file().hidden()
        "write a CPU profile to this file", "says where output goes";
    Pass "debug" Bool .hidden()
        "same as --log-level=debug", "says what is printed";
    Pass "events-backend" Value .choice("BACKEND", &["file", "journald", "none"]).of(Engines::Podman)
        "where events go", "says where output goes";
    Pass "identity" Value .file().of(Engines::Podman)
        "the SSH key for a remote podman", "says where the engine runs";
    Pass "imagestore" Value .dir().since(32)
        "a storage for images apart from that for containers", "says where images are, not what they are";
    Pass "log-level" Value .choice("LEVEL", &["trace", "debug", "info", "warn", "error", "fatal", "panic"])
        "what the engine logs", "says what is printed";
    Pass "max-workers" Value .int().of(Engines::Podman).hidden()
        "how much podman does at the same time", "speed";
    Pass "memory-profile" Value .file().hidden()
        "write a memory profile to this file", "says where output goes";
    Pass "namespace" Value .text("NAME").of(Engines::Podman)
        "the libpod namespace", "which containers are seen, and a build names none";
    Pass "registries-conf" Value .file()
        "a registries.conf", "says where images come from, and their ids are in the key";
    Pass "registries-conf-dir" Value .dir().of(Engines::Buildah)
        "a registries.conf.d", "says where images come from, and their ids are in the key";
    Pass "remote" Bool .short('r').of(Engines::Podman)
        "use a remote podman", "says where the engine runs";
    Pass "root" Value .dir()
        "the storage's folder", "says where images are, not what they are";
    Pass "runroot" Value .dir()
        "the folder of the storage's state", "says where images are, not what they are";
    Pass "short-name-alias-conf" Value .file().of(Engines::Buildah)
        "the file of short image names", "says what a name stands for, and image ids are in the key";
    Pass "ssh" Value .choice("MODE", &["golang", "native"]).of(Engines::Podman)
        "how podman speaks SSH to a remote podman", "says where the engine runs";
    Pass "storage-driver" Value .choice("DRIVER", &["overlay", "vfs", "btrfs", "zfs"])
        "the storage driver", "the same layers in other folders";
    Pass "syslog" Bool .of(Engines::Podman)
        "log to syslog too", "says where output goes";
    Pass "tls-ca" Value .file().of(Engines::Podman).since(43)
        "the certificate authority of a remote podman", "says where the engine runs";
    Pass "tls-cert" Value .file().of(Engines::Podman).since(43)
        "the certificate for a remote podman", "says where the engine runs";
    Pass "tls-key" Value .file().of(Engines::Podman).since(43)
        "the key for a remote podman", "says where the engine runs";
    Pass "tmpdir" Value .dir().of(Engines::Podman)
        "the folder of libpod's state", "says where state is";
    Pass "trace" Bool .of(Engines::Podman).hidden()
        "send traces", "says where output goes";
    Pass "transient-store" Bool .since(30)
        "keep part of the storage's state in memory", "says where state is";
    Pass "url" Value .text("URL").of(Engines::Podman)
        "the address of a remote podman", "says where the engine runs";
    Pass "volumepath" Value .dir().of(Engines::Podman)
        "the folder of volumes", "a build uses no named volume";
};
