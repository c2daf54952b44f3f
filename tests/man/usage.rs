//! What `--help` of a command prints, taken apart, and as roff.
//!
//! A usage is: lines that begin with "Usage:" or go on with the program's name; paragraphs; options, whose words stand two blanks before
//! what they mean. A line that is moved in far goes on with the option above it.

use super::roff::{bold, entry, filled, italic, prose};

/// Where the program's name begins in the first lines.
const PROGRAM: &str = "sax-controller ";
/// From this column on a line belongs to the option above it.
const FAR: usize = 12;

/// A usage, taken apart.
pub struct Usage {
    /// How the command is written, from the program's name on.
    pub forms: Vec<String>,
    pub paragraphs: Vec<String>,
    /// The words of an option with its values, and what it means.
    pub options: Vec<(String, String)>,
}

/// Takes it apart.
pub fn parsed(text: &str) -> Usage {
    let mut usage = Usage { forms: Vec::new(), paragraphs: Vec::new(), options: Vec::new() };
    let mut open = false;
    for line in text.lines() {
        let words = line.trim();
        let depth = line.len() - line.trim_start().len();
        match words {
            "" => open = false,
            _ if words.strip_prefix("Usage: ").unwrap_or(words).starts_with(PROGRAM) && usage.options.is_empty() && depth != 2 => {
                usage.forms.push(words.trim_start_matches("Usage: ").to_owned());
            }
            _ if depth >= FAR => add(&mut usage.options.last_mut().expect("an option above").1, words),
            _ if depth > 0 => {
                let (tag, meaning) = words.split_once("  ").unwrap_or((words, ""));
                usage.options.push((tag.to_owned(), meaning.trim().to_owned()));
            }
            _ if open => add(usage.paragraphs.last_mut().expect("a paragraph above"), words),
            _ => {
                usage.paragraphs.push(words.to_owned());
                open = true;
            }
        }
    }
    usage
}

fn add(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    *text += words;
}

impl Usage {
    /// How it is written, for the synopsis.
    pub fn synopsis(&self) -> String {
        self.forms.iter().map(|form| format!(".HP 4\n{}", filled(&marked(form, &[])))).collect()
    }

    /// What it does, and its options.
    pub fn section(&self, name: &str) -> String {
        let places = self.places();
        let mut out = format!(".SS {name}\n");
        for form in &self.forms {
            out += &format!(".HP 4\n{}", filled(&marked(form, &places)));
        }
        for text in &self.paragraphs {
            out += &format!(".PP\n{}", filled(&marked(text, &places)));
        }
        for (tag, meaning) in &self.options {
            assert!(!meaning.is_empty(), "{name} {tag}: the usage does not say what it means");
            out += &entry(&marked(tag, &places), &marked(meaning, &places));
        }
        out
    }

    /// What stands for something else: words in capital letters, in the forms and beside options.
    fn places(&self) -> Vec<&str> {
        let texts = self.forms.iter().chain(self.options.iter().map(|(tag, _)| tag));
        let words = texts.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
        words.filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase())).collect()
    }
}

/// Options and the program's own words are bold, what stands for something else is italic.
fn marked(text: &str, places: &[&str]) -> String {
    text.split(' ').map(|word| marked_word(word, places)).collect::<Vec<_>>().join(" ")
}

fn marked_word(word: &str, places: &[&str]) -> String {
    let inner = word.trim_matches(|c: char| "[](),;:.'".contains(c));
    let Some(at) = word.find(inner).filter(|_| !inner.is_empty()) else { return prose(word) };
    let (before, behind) = (&word[..at], &word[at + inner.len()..]);
    let all_capitals = inner.chars().all(|c| c.is_ascii_uppercase());
    let made = if inner.starts_with('-') && inner.len() > 1 && !inner[1..].starts_with(|c: char| c.is_ascii_digit())
        || inner == "sax-controller"
    {
        bold(inner)
    } else if all_capitals && (places.is_empty() || places.contains(&inner)) || places.iter().any(|p| inner == format!("{p}...")) {
        italic(inner)
    } else {
        prose(inner)
    };
    format!("{}{made}{}", prose(before), prose(behind))
}
