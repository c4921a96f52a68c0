//! What STOPSIGNAL accepts: `CheckSignal` in imagebuilder's `signal/signal.go`.

/// Any number but zero, or a name with or without `SIG`, in any case.
pub(super) fn is_signal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().is_ok_and(|number| number != 0);
    }
    let name = text.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    NAMES.contains(&name) || is_realtime(name)
}

fn is_realtime(name: &str) -> bool {
    let offset = |text: &str, last: u8| {
        text.parse::<u8>().is_ok_and(|offset| (1..=last).contains(&offset) && offset.to_string() == text)
    };
    matches!(name, "RTMIN" | "RTMAX")
        || name.strip_prefix("RTMIN+").is_some_and(|text| offset(text, 15))
        || name.strip_prefix("RTMAX-").is_some_and(|text| offset(text, 14))
}

const NAMES: [&str; 41] = [
    "ABRT", "ALRM", "BUF", "BUG", "BUS", "CHLD", "CLD", "CONT", "EMT", "FPE", "HUP", "ILL", "INFO", "INT",
    "IO", "IOT", "KILL", "LWP", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "THR", "TRAP", "TSTP", "TTIN", "TTOU", "UNUSED", "URG", "USR1", "USR2", "VTALRM", "WINCH",
    "XCPU", "XFSZ",
];

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals_are_numbers_and_names() {
        for (text, expected) in [
            ("9", true),
            ("-1", true),
            ("+3", true),
            ("0", false),
            ("", false),
            ("SIGTERM", true),
            ("term", true),
            ("SIGRTMIN+3", true),
            ("sigrtmin+15", true),
            ("RTMIN+16", false),
            ("RTMIN+03", false),
            ("RTMAX-14", true),
            ("RTMAX-15", false),
            ("SIGSIGTERM", false),
            ("SIGFOO", false),
        ] {
            assert_eq!(is_signal(text), expected, "{text}");
        }
    }
}
