//! Names of variables that steer an engine, or what it runs on: the value of an ARG of such a name is no variable of its call.
//!
//! Most names stand in the programs of buildah 1.28 and podman 4.3, or in crun, conmon and glibc beside them; later releases and
//! what an engine runs (git, gpg, ssh) have the rest. A name that is missing here hands an engine a value that is meant for a
//! command; one that is here for nothing shows the value in the process list of an engine before 1.30.

use crate::containerfile::PREDEFINED_ARGS;

/// What is steered, and by which names.
const NAMES: &[(&str, &[&str])] = &[
    (
        "which programs are run, and where files of the user are",
        &["PATH", "HOME", "PWD", "SHELL", "USER", "LOGNAME"],
    ),
    ("where temporary files and container caches lie", &["TMPDIR", "TMP", "TEMP"]),
    (
        "Go's runtime",
        &[
            "GODEBUG",
            "GOGC",
            "GOMAXPROCS",
            "GOMEMLIMIT",
            "GOTRACEBACK",
            "GORACE",
            "GOCOVERDIR",
            "GOROOT",
            "GOLANG_FIPS",
            "OPENSSL_FORCE_FIPS_MODE",
            "OPENSSL_CONF",
        ],
    ),
    ("the time zone of Go and glibc", &["TZ", "TZDIR", "ZONEINFO"]),
    ("which servers are trusted", &["SSL_CERT_FILE", "SSL_CERT_DIR"]),
    ("which way pulls and ADD take", &PREDEFINED_ARGS),
    (
        "the way for all addresses, and whether Go heeds HTTP_PROXY",
        &["ALL_PROXY", "all_proxy", "REQUEST_METHOD"],
    ),
    (
        "how names of servers are looked up",
        &["RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES", "RESOLV_HOST_CONF"],
    ),
    (
        "glibc",
        &[
            "GLIBC_TUNABLES",
            "GCONV_PATH",
            "GETCONF_DIR",
            "LOCPATH",
            "NLSPATH",
            "LANG",
            "LANGUAGE",
            "MALLOC_TRACE",
            "MALLOC_CHECK_",
            "MALLOC_PERTURB_",
        ],
    ),
    (
        "the configuration of containers, images and storage",
        &[
            "CONTAINERS_CONF",
            "CONTAINERS_CONF_OVERRIDE",
            "CONTAINERS_STORAGE_CONF",
            "CONTAINERS_REGISTRIES_CONF",
            "CONTAINERS_SSH_CONF",
            "CONTAINERS_USERNS_CONFIGURED",
            "CONTAINERS_ROOTLESS_UID",
            "CONTAINERS_ROOTLESS_GID",
            "CONTAINERS_HELPER_BINARY_DIR",
            "CONTAINERS_GRAPHROOT",
            "CONTAINERS_RUNROOT",
            "REGISTRIES_CONFIG_PATH",
            "REGISTRIES_CONF",
            "REGISTRY_AUTH_FILE",
            "REGISTRY_SOURCES",
            "DOCKER_CONFIG",
            "DOCKER_HOST",
            "STORAGE_DRIVER",
            "STORAGE_OPTS",
        ],
    ),
    (
        "which podman is asked, and how",
        &[
            "CONTAINER_HOST",
            "CONTAINER_CONNECTION",
            "CONTAINER_SSHKEY",
            "CONTAINER_TLS_CA",
            "CONTAINER_TLS_CERT",
            "CONTAINER_TLS_KEY",
            "PODMAN_CONNECTIONS_CONF",
            "PODMAN_BINARY",
            "PODMAN_SOCKET",
            "PODMAN_USERNS",
            "PODMAN_SYSTEMD_UNIT",
            "PODMAN_PAUSE",
            "PODMAN_RETAIN_BUILD_ARTIFACT",
            "PODMAN_RUNLABEL_NESTED",
            "PODMAN_IGNORE_CGROUPSV1_WARNING",
            "SUPPRESS_BOLTDB_WARNING",
            "DISABLE_HC_SYSTEMD",
            "container",
        ],
    ),
    ("the network", &["CNI_PATH", "NETAVARK_FW"]),
    (
        "the session, its services and sockets",
        &[
            "DBUS_SESSION_BUS_ADDRESS",
            "DBUS_SYSTEM_BUS_ADDRESS",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "INVOCATION_ID",
            "MAINPID",
            "XDG_RUNTIME_DIR",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_CACHE_HOME",
        ],
    ),
    ("pipes between an engine and what it starts", &["OCI_ATTACHPIPE", "OCI_STARTPIPE", "OCI_SYNCPIPE"]),
    ("keys and signatures", &["GNUPGHOME", "GPG_AGENT_INFO", "SSH_AUTH_SOCK", "SSH_ASKPASS"]),
    ("the times in what is made, from 1.41 on", &["SOURCE_DATE_EPOCH"]),
    ("switches of the libraries for their own tests", &["TEST_FORCE_SUPPORT_SHIFTING"]),
];

/// Beginnings of names that steer, each with any number of names.
const FAMILIES: &[&str] = &[
    // Flags of buildah's; more come with each version.
    "BUILDAH_",
    "_BUILDAH_",
    // How a program that has started itself again, in a namespace or a container, knows that.
    "_CONTAINERS_",
    "_PODMAN_",
    "_LIBCONTAINER_",
    // The loader's: LD_PRELOAD, LD_LIBRARY_PATH, LD_AUDIT and some twenty more.
    "LD_",
    // An engine fetches the repository of an ADD by git: GIT_DIR, GIT_CONFIG_KEY_0, GIT_SSH_COMMAND, …
    "GIT_",
    // Categories of the locale.
    "LC_",
];

/// Whether an engine that has a variable of this name in its environment may act on it.
pub fn steers(name: &str) -> bool {
    NAMES.iter().any(|(_, names)| names.contains(&name))
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether a line of a `--build-arg-file` can say this; both engines take a line as it stands, but for what is around it.
pub fn fits_in_file(name: &str, value: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '=';
    let name_fits = !name.is_empty() && !name.starts_with('#') && name.chars().all(is_plain);
    name_fits && !value.contains(['\n', '\0']) && !value.ends_with('\r')
}

/// The lines of the `--build-arg-file` for these ARGs; nothing where none has to be there.
pub fn arg_file(build_args: &[(String, String)]) -> Option<String> {
    let steering = build_args.iter().filter(|(name, value)| steers(name) && fits_in_file(name, value));
    let lines: String = steering.map(|(name, value)| format!("{name}={value}\n")).collect();
    Some(lines).filter(|lines| !lines.is_empty())
}

/// All names that are told one by one, for tests with an engine.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().flat_map(|(_, names)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_steer_and_those_that_look_alike_do_not() {
        for name in
            ["PATH", "BUILDAH_ISOLATION", "BUILDAH_WHATEVER", "LD_PRELOAD", "http_proxy", "GODEBUG", "LC_ALL"]
        {
            assert!(steers(name), "{name}");
        }
        for name in ["GOAL", "PATHS", "httpd", "CONTAINERS_PASSWORD", "DOCKER_PASSWORD", "VERSION", "_X", ""]
        {
            assert!(!steers(name), "{name}");
        }
        let all: Vec<_> = names().collect();
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), once.len());
    }

    #[test]
    fn what_a_line_cannot_say_is_not_in_the_file() {
        let args = |pairs: &[(&str, &str)]| {
            arg_file(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(args(&[("TZ", " a #b=c "), ("V", "1")]).as_deref(), Some("TZ= a #b=c \n"));
        for value in ["a\nb", "a\r", "\0"] {
            assert_eq!(args(&[("TZ", value)]), None, "{value:?}");
        }
        assert_eq!(args(&[("LC_ a", "1"), ("LC_\n", "1"), ("V", "1")]), None);
    }
}
