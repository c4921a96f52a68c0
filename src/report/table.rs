//! Tables as podman draws them: columns padded with spaces, upper-case headings.

use crate::visible::visible;

/// Lays rows out under headings.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| visible(cell).into_owned()).collect()).collect();
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let all = std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect()).chain(rows.iter().cloned());
    for row in all {
        let row: Vec<String> = row;
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How long ago, in the largest unit that fits, as podman says it.
pub fn ago(then: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = then.parse::<jiff::Timestamp>() else { return then.to_owned() };
    let seconds = now.duration_since(then).as_secs().max(0);
    let (count, unit) = match seconds {
        0..60 => return "less than a minute ago".into(),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// A number of bytes, in units of 1000 as the engines have them.
pub fn bytes(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    let (mut size, mut unit) = (bytes as f64, "B");
    for next in units {
        if size < 999.5 {
            break;
        }
        (size, unit) = (size / 1000.0, next);
    }
    match size {
        _ if unit == "B" => format!("{bytes} B"),
        ..9.995 => format!("{size:.2} {unit}"),
        ..99.95 => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

/// A duration: `0.42s`, `12.3s`, `2m05s`.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{:02}s", milliseconds / 1000, milliseconds % 1000 / 10),
        10_000..60_000 => format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{}m{:02}s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

/// A text on one line, cut to `width` characters: blanks, tabs and line ends are one blank.
pub fn one_line(text: &str, width: usize) -> String {
    let text = text.replace("\r\n", " ");
    let words: Vec<&str> = text.split([' ', '\t', '\n']).filter(|word| !word.is_empty()).collect();
    let mut line = visible(&words.join(" ")).into_owned();
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["a".into(), "bcd".into()], vec!["long".into(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X     Y\na     bcd\nlong\n");
    }

    #[test]
    fn sizes_have_three_digits_and_units_of_1000() {
        for (size, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_996, "10.0 kB"),
            (2_131_456, "2.13 MB"),
            (999_600_000, "1.00 GB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn durations_have_the_digits_that_matter() {
        for (ms, expected) in [(420, "0.42s"), (12_340, "12.3s"), (125_000, "2m05s")] {
            assert_eq!(duration(ms), expected);
        }
    }
}
