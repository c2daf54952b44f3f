//! The small part of Markdown in which README.md and the fixed text of the manual pages are written.
//!
//! Answers for blocks and where they stand. Knows nothing about manual pages.

/// What stands between two empty lines, more or less.
#[derive(Clone, PartialEq, Debug)]
pub enum Block {
    /// Number of `#`, and the words.
    Heading(usize, String),
    /// All lines of it, joined.
    Paragraph(String),
    /// `* `: one text each.
    Bullets(Vec<String>),
    /// The first row is the head.
    Table(Vec<Vec<String>>),
    /// Between fences, as it is.
    Code(Vec<String>),
}

/// The blocks of a text, in order. HTML comments are left out.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().filter(|line| !line.starts_with("<!--")).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            blocks.push(Block::Code(lines.by_ref().take_while(|line| !line.starts_with("```")).map(str::to_owned).collect()));
        } else if line.starts_with('#') {
            let words = line.trim_start_matches('#');
            blocks.push(Block::Heading(line.len() - words.len(), words.trim().to_owned()));
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            rows.remove(1); // The dashes.
            blocks.push(Block::Table(rows));
        } else if line.starts_with("* ") || line.starts_with("- ") {
            let mut items = vec![line[2..].to_owned()];
            while let Some(line) = lines.next_if(|line| line.starts_with("* ") || line.starts_with("- ") || line.starts_with("  ")) {
                match line.strip_prefix("* ").or(line.strip_prefix("- ")) {
                    Some(item) => items.push(item.to_owned()),
                    None => *items.last_mut().unwrap() += &format!(" {}", line.trim()),
                }
            }
            blocks.push(Block::Bullets(items));
        } else if !line.trim().is_empty() {
            let mut text = line.trim().to_owned();
            while let Some(line) =
                lines.next_if(|line| !line.trim().is_empty() && !["```", "|", "* ", "#"].iter().any(|m| line.starts_with(m)))
            {
                text += &format!(" {}", line.trim());
            }
            blocks.push(Block::Paragraph(text));
        }
    }
    blocks
}

/// The cells of a row; `\|` is no end of a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
    row.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// The blocks below this heading, up to the next one that is not deeper. Panics where there is no such heading: a page must not lose a part.
pub fn section<'b>(blocks: &'b [Block], name: &str) -> &'b [Block] {
    let is = |block: &Block| matches!(block, Block::Heading(_, words) if words == name);
    let start = blocks.iter().position(is).unwrap_or_else(|| panic!("README.md has no section \"{name}\""));
    let Block::Heading(depth, _) = blocks[start] else { unreachable!() };
    let behind = &blocks[start + 1..];
    let end = behind.iter().position(|block| matches!(block, Block::Heading(deeper, _) if *deeper <= depth)).unwrap_or(behind.len());
    &behind[..end]
}

/// The one block of a section that begins with these words: a paragraph, the head of a table, or the first line of code.
pub fn part<'b>(blocks: &'b [Block], name: &str, begins: &str) -> &'b Block {
    let is = |block: &&Block| match block {
        Block::Paragraph(text) => text.starts_with(begins),
        Block::Table(rows) => rows[0].join(" | ").starts_with(begins),
        Block::Code(lines) => lines.first().is_some_and(|line| line.starts_with(begins)),
        Block::Bullets(items) => items[0].starts_with(begins),
        Block::Heading(..) => false,
    };
    let found: Vec<_> = section(blocks, name).iter().filter(is).collect();
    assert_eq!(found.len(), 1, "what begins with \"{begins}\" in section \"{name}\" of README.md");
    found[0]
}
