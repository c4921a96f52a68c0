//! Finds the heredocs that the line of a RUN, COPY or ADD opens.
//!
//! buildah 1.33 and later find them with BuildKit's lexer (`heredocsFromLine` in imagebuilder's
//! `dockerfile/parser/parser.go`): a word of the line of the form `[fd]<<[-]name`. A line that the lexer
//! cannot read, an open quote for one, has none. White space between `<<` and the name is accepted, which
//! only the later of those engines do.

use super::text::is_space;

/// The opening of a heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) expand: bool,
    pub(super) chomp: bool,
}

/// The openings on a line, in their order.
pub(super) fn openings(line: &str) -> Vec<Opening> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let words = words(line).unwrap_or_default();
    words.iter().filter_map(|word| opening(&word.raw)).collect()
}

/// Whether a text is the opening of one heredoc and nothing else.
pub(super) fn is_one(text: &str) -> bool {
    opening(text).is_some()
}

fn opening(word: &str) -> Option<Opening> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let dash = word.strip_prefix('-');
    let name = dash.unwrap_or(word).trim_start_matches(is_space);
    if name.contains('<') {
        return None;
    }
    match words(name)?.as_slice() {
        [only] => Some(Opening { name: only.unquoted.clone(), expand: !only.quoted, chomp: dash.is_some() }),
        _ => None,
    }
}

#[derive(Default)]
struct Word {
    raw: String,
    /// Without quotes and escapes.
    unquoted: String,
    quoted: bool,
}

impl Word {
    fn push(&mut self, character: char) {
        self.raw.push(character);
        self.unquoted.push(character);
    }
}

/// Cuts a line into words as BuildKit's shell lexer does; `None` when a quote or brace stays open.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if is_space(character) {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match character {
            '\'' | '"' => {
                word.quoted = true;
                word.raw.push(character);
                loop {
                    let inner = characters.next()?;
                    if inner == character {
                        word.raw.push(inner);
                        break;
                    }
                    if (inner, character) == ('\\', '"') {
                        word.raw.push(inner);
                        if matches!(characters.peek(), Some('"' | '$' | '\\')) {
                            word.push(characters.next()?);
                        } else {
                            word.unquoted.push(inner);
                        }
                        continue;
                    }
                    word.push(inner);
                }
            }
            '\\' => {
                word.raw.push(character);
                if let Some(escaped) = characters.next() {
                    word.push(escaped);
                }
            }
            '$' if characters.peek() == Some(&'{') => {
                let mut open = 0_usize;
                word.push(character);
                loop {
                    let inner = characters.next()?;
                    word.push(inner);
                    open += usize::from(inner == '{');
                    open -= usize::from(inner == '}');
                    if open == 0 {
                        break;
                    }
                }
            }
            '<' if characters.peek() == Some(&'<') => {
                word.push(character);
                word.push(characters.next()?);
                while let Some(space) = characters.next_if(|&next| is_space(next)) {
                    word.push(space);
                }
            }
            _ => word.push(character),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heredoc_is_a_word_that_begins_with_two_less_than_signs() {
        for (line, expected) in [
            ("RUN <<EOF", vec!["EOF"]),
            ("RUN cat <<-EOF > x", vec!["-EOF"]),
            ("RUN <<'EOF'", vec!["'EOF'"]),
            ("RUN <<\"E F\"", vec!["'E F'"]),
            ("RUN <<-'EOF' cat", vec!["-'EOF'"]),
            ("RUN 3<<A cat 4<<B", vec!["A", "B"]),
            ("COPY <<a.txt <<b.txt /d/", vec!["a.txt", "b.txt"]),
            ("RUN cat << EOF", vec!["EOF"]),
            ("RUN cat <<<EOF", vec![]),
            ("RUN cat <<< EOF", vec![]),
            ("RUN echo '<<EOF'", vec![]),
            ("RUN echo \"a <<EOF b\"", vec![]),
            ("RUN echo \\<<EOF", vec![]),
            ("RUN echo a<<EOF", vec![]),
            ("RUN echo $((1 <<2))", vec!["2))"]),
            ("RUN echo it's <<EOF", vec![]),
            ("RUN echo ${A <<EOF", vec![]),
            ("RUN echo ${A} <<EOF", vec!["EOF"]),
            ("RUN <<", vec![]),
            ("RUN <<$EOF", vec!["$EOF"]),
            ("RUN <<EOF>out", vec!["EOF>out"]),
            ("RUN echo \\' <<EOF", vec!["EOF"]),
            ("RUN echo $'a' <<EOF", vec!["EOF"]),
            ("RUN cat <x <<EOF", vec!["EOF"]),
        ] {
            let found: Vec<_> = openings(line)
                .into_iter()
                .map(|Opening { name, expand, chomp }| {
                    let name = if expand { name } else { format!("'{name}'") };
                    if chomp { format!("-{name}") } else { name }
                })
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
