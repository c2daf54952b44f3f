//! Roff for manual pages (man(7)), out of text and blocks of Markdown.
//!
//! Answers for escapes, fonts and line ends. What it makes is the same with groff and mandoc.

use super::markdown::Block;

/// Source lines are filled up to this width.
const WIDTH: usize = 78;

/// Code of at most so many characters stays on one line.
const UNBROKEN: usize = 30;

/// Columns of code that fit on a terminal beside the margins of a page.
const COLUMNS: usize = 70;

/// The Unicode characters that every terminal shows in some way, by groff_char(7) and mandoc_char(7); others are written by number.
const NAMED: [(char, &str); 12] = [
    ('–', "\\(en"),
    ('±', "\\(+-"),
    ('·', "\\~\\(mu\\~"),
    ('×', "\\(mu"),
    ('§', "Section"),
    ('→', "\\(->"),
    ('≤', "\\(<="),
    ('≥', "\\(>="),
    ('°', "\\(de"),
    ('½', "\\(12"),
    ('…', "..."),
    ('µ', "\\(mc"),
];

/// Text that is to be typed or found as it is: every minus, quote and accent is the ASCII character.
pub fn literal(text: &str) -> String {
    text.chars().map(|c| escaped(c).unwrap_or_else(|| c.to_string())).collect()
}

fn escaped(c: char) -> Option<String> {
    match c {
        '\\' => Some("\\e".into()),
        '-' => Some("\\-".into()),
        '\'' => Some("\\(aq".into()),
        '"' => Some("\\(dq".into()),
        '^' => Some("\\(ha".into()),
        '~' => Some("\\(ti".into()),
        '`' => Some("\\(ga".into()),
        c if c.is_ascii() => None,
        c => match NAMED.iter().find(|(known, _)| *known == c) {
            Some((_, name)) => Some((*name).into()),
            None => Some(format!("\\[u{:04X}]", u32::from(c))),
        },
    }
}

/// Running text: hyphens and apostrophes inside words stay what they are.
pub fn prose(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let word = |k: Option<usize>| k.and_then(|k| letters.get(k)).is_some_and(|c| c.is_alphanumeric());
    let one = |(k, c): (usize, &char)| match c {
        '\'' if word(k.checked_sub(1)) && word(Some(k + 1)) => "'".into(),
        '-' if word(k.checked_sub(1)) && !letters.get(k + 1).is_some_and(char::is_ascii_digit) => "-".into(),
        '"' => "\"".into(),
        _ => escaped(*c).unwrap_or_else(|| c.to_string()),
    };
    letters.iter().enumerate().map(one).collect()
}

/// Markdown inside a paragraph: `code` and **strong** are bold, *emphasis* is italic, of a link stays the text.
pub fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out += &prose(&rest[..at]);
        let tail = &rest[at..];
        let (made, used) =
            ["`", "**", "*"].iter().find_map(|mark| between(tail, mark)).or_else(|| link(tail)).unwrap_or_else(|| (literal(&tail[..1]), 1));
        out += &made;
        rest = &tail[used..];
    }
    out + &prose(rest)
}

/// What stands between two marks, and how long it is with them.
fn between(text: &str, mark: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix(mark)?;
    let end = inner.find(mark).filter(|end| *end > 0 && !inner.starts_with(' '))?;
    let made = match mark {
        "`" if end <= UNBROKEN => bold(&inner[..end]).replace(' ', "\\~"),
        "`" => bold(&inner[..end]),
        "**" => format!("\\fB{}\\fR", prose(&inner[..end])),
        _ => format!("\\fI{}\\fR", prose(&inner[..end])),
    };
    Some((made, end + 2 * mark.len()))
}

fn link(text: &str) -> Option<(String, usize)> {
    let (words, behind) = text.strip_prefix('[')?.split_once("](")?;
    let (address, _) = behind.split_once(')')?;
    (!words.contains(['[', ']'])).then(|| (prose(words), words.len() + address.len() + 4))
}

/// Bold, as it is.
pub fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", literal(text))
}

/// Italic, as it is.
pub fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", literal(text))
}

/// Lines of at most [`WIDTH`], a new one for each sentence, which roff wants; none begins with a dot or a quote, which would make it a request.
pub fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && (line.len() + 1 + word.len() > WIDTH || ends_a_sentence(&line)) {
            out += &format!("{}\n", safe(&line));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    format!("{out}{}\n", safe(&line))
}

fn ends_a_sentence(line: &str) -> bool {
    line.trim_end_matches("\\fR").trim_end_matches([')', '"']).ends_with(['.', '?', '!'])
}

fn safe(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// An entry of a list of definitions.
pub fn entry(tag: &str, body: &str) -> String {
    // The tag is one line, however long it is.
    format!(".TP\n{}\n{}", safe(tag), filled(body))
}

/// Lines as they are, moved in a little. A comment that 80 columns do not hold stands above its line.
pub fn code(lines: &[String]) -> String {
    let lines: String = lines.iter().flat_map(|line| narrow(line)).map(|line| format!("{}\n", safe(&literal(&line)))).collect();
    format!(".PP\n.RS 2\n.EX\n{lines}.EE\n.RE\n")
}

fn narrow(line: &str) -> Vec<String> {
    let comment = line.starts_with('#').then_some(0).or_else(|| line.find(" # ").map(|at| at + 1));
    let Some(at) = comment.filter(|_| line.chars().count() > COLUMNS) else { return vec![line.to_owned()] };
    let mut lines = vec![String::from("#")];
    for word in line[at + 1..].split_whitespace() {
        if lines.last().is_some_and(|last| last.chars().count() + 1 + word.chars().count() > COLUMNS) {
            lines.push(String::from("#"));
        }
        if let Some(last) = lines.last_mut() {
            *last += &format!(" {word}");
        }
    }
    if at > 0 {
        lines.push(line[..at].trim_end().to_owned());
    }
    lines
}

/// A whole block.
pub fn block(block: &Block) -> String {
    match block {
        Block::Heading(1, words) => format!(".SH {}\n", quoted(&literal(&words.to_uppercase()))),
        Block::Heading(_, words) => format!(".SS {}\n", quoted(&inline(words))),
        Block::Paragraph(text) => match lead(text) {
            Some((words, rest)) => format!(".SS {}\n{}", quoted(&prose(words)), filled(&inline(&capitalised(rest)))),
            None => format!(".PP\n{}", filled(&inline(text))),
        },
        Block::Bullets(items) => items.iter().map(|item| format!(".IP \\(bu 2\n{}", filled(&inline(item)))).collect(),
        Block::Code(lines) => code(lines),
        Block::Table(rows) => table(rows),
    }
}

/// A paragraph that begins with **strong words.** or **strong words**: has them as its heading.
fn lead(text: &str) -> Option<(&str, &str)> {
    let (words, rest) = text.strip_prefix("**")?.split_once("**")?;
    words.strip_suffix('.').zip(rest.strip_prefix(' ')).or_else(|| Some(words).zip(rest.strip_prefix(": ")))
}

/// The argument of a macro.
fn quoted(words: &str) -> String {
    let words = words.replace('"', "\\(dq");
    if words.contains(' ') { format!("\"{words}\"") } else { words }
}

/// A table becomes a list: the first cell is what is defined, the column "meaning" or "what", else the second one, says what it is, and the
/// other cells follow with the head of their column.
fn table(rows: &[Vec<String>]) -> String {
    let head = &rows[0];
    let main = head.iter().position(|name| name == "meaning" || name == "what").unwrap_or(1);
    let row = |row: &Vec<String>| {
        let others = (1..head.len()).filter(|k| *k != main).map(|k| labelled(&head[k], &row[k]));
        let body: Vec<_> = std::iter::once(sentence(&row[main])).chain(others).filter(|text| !text.is_empty()).collect();
        entry(&tag(&row[0]), &inline(&body.join(" ")))
    };
    rows[1..].iter().map(row).collect()
}

/// What is code already is bold; other words are made so.
fn tag(cell: &str) -> String {
    if cell.contains(['`', '*']) { inline(cell) } else { format!("\\fB{}\\fR", prose(cell)) }
}

fn labelled(name: &str, cell: &str) -> String {
    match cell {
        "" => String::new(),
        "–" => format!("No {name}."),
        _ => format!("{}: {}", capitalised(name), stopped(cell)),
    }
}

/// With a capital letter and a full stop.
fn sentence(cell: &str) -> String {
    stopped(&capitalised(cell))
}

/// With a full stop, where nothing else ends it.
fn stopped(cell: &str) -> String {
    let stop = if cell.is_empty() || cell.ends_with(['.', ':', '?', '!']) { "" } else { "." };
    format!("{cell}{stop}")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
