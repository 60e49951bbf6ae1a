//! Text for a terminal.

/// Returns text that a terminal can show as it is. Characters that could move the cursor, or hide or reorder text, are
/// escaped as in a string of Rust, and bytes that are not UTF-8 as `\x` and two digits.
#[must_use]
pub fn printable(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        shown.extend(
            chunk.invalid().iter().flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from),
        );
    }
    shown
}

/// Returns whether a terminal does not show the character itself, or shows other characters differently because of it.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // The soft hyphen, and fillers, which are blank or invisible.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Marks that change the direction of text.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Zero-width characters, line separators, invisible operators.
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Tags, and variation selectors that no font needs.
            | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_hide_or_obey_is_escaped_and_nothing_else() {
        let cases: [(&[u8], &str); 12] = [
            (b"/plain-1.2 \\ 'x'", "/plain-1.2 \\ 'x'"),
            ("ü 日本 \u{5e9} \u{2764}\u{fe0f}".as_bytes(), "ü 日本 \u{5e9} \u{2764}\u{fe0f}"),
            (b"a\n\r\t\0\x1b[2J\x7f", "a\\n\\r\\t\\u{0}\\u{1b}[2J\\u{7f}"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
            ("\u{61c}x".as_bytes(), "\\u{61c}x"),
            ("\u{200e}\u{200f}".as_bytes(), "\\u{200e}\\u{200f}"),
            ("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe"),
            ("\u{2066}\u{2069}".as_bytes(), "\\u{2066}\\u{2069}"),
            ("\u{e0041}\u{e007f}".as_bytes(), "\\u{e0041}\\u{e007f}"),
            ("\u{2028}\u{feff}\u{ad}".as_bytes(), "\\u{2028}\\u{feff}\\u{ad}"),
            (b"b\xff\xfe/\xc3", "b\\xff\\xfe/\\xc3"),
            (b"", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(printable(text), shown);
            assert_eq!(printable(shown.as_bytes()), shown, "escaping again changes nothing");
        }
        let all = [
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{2067}',
            '\u{2068}',
            '\u{e0001}',
            '\u{e0020}',
        ];
        assert!(all.into_iter().all(is_hidden));
    }
}
