//! A strict reader of the XML that the picture is made of: what it does not know ends the test. And the points of its paths.
#![allow(dead_code)]

/// An element: its name, its attributes, and the text that it holds by itself.
pub struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    pub text: String,
}

impl Element {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// All elements, in the order in which they begin. Every tag is closed by its own, attributes are quoted and not repeated, entities
/// are known, and there is one root.
pub fn elements(text: &str) -> Vec<Element> {
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("an XML declaration");
    let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{FFFE}' || c == '\u{FFFF}'),
        "a character that XML does not have"
    );
    while let Some(at) = rest.find('<') {
        let between = &rest[..at];
        match open.last() {
            Some(k) => all[*k].text += &unescaped(between),
            None => assert!(between.trim().is_empty(), "text outside of the root: {between}"),
        }
        let end = rest.find('>').expect("a tag that ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let k = open.pop().expect("something to close");
            assert_eq!(all[k].name, name);
            continue;
        }
        assert!(all.is_empty() || !open.is_empty(), "a second root: {tag}");
        let (inner, closed) = tag.strip_suffix('/').map_or((tag, false), |inner| (inner, true));
        all.push(element(inner));
        if !closed {
            open.push(all.len() - 1);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "everything is closed");
    all
}

fn element(inner: &str) -> Element {
    let (name, mut rest) = inner.split_once(' ').unwrap_or((inner, ""));
    assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "the name {name}");
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("an attribute with a quoted value");
        let (value, after) = after.split_once('"').expect("a value that ends");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "the attribute {name}");
        assert!(attributes.iter().all(|(n, _)| n != name), "{name} twice");
        assert!(!value.contains('<'), "{value}");
        attributes.push((name.to_owned(), unescaped(value)));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    Element { name: name.to_owned(), attributes, text: String::new() }
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').expect("an entity that ends");
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            other => panic!("the entity {other}"),
        });
        out += rest;
    }
    out
}

/// The absolute points of a path of M, relative l and z.
pub fn points(d: &str) -> Vec<(f64, f64)> {
    let d = d.strip_prefix('M').expect("it begins with M");
    let d = d.strip_suffix('z').unwrap_or(d);
    let (first, rest) = d.split_once('l').unwrap_or((d, ""));
    let first = numbers(first);
    let mut at = (first[0], first[1]);
    let mut all = vec![at];
    for step in numbers(rest).chunks(2) {
        at = (at.0 + step[0], at.1 + step[1]);
        all.push(at);
    }
    all
}

fn numbers(text: &str) -> Vec<f64> {
    let spaced = text.replace('-', " -");
    spaced.split_whitespace().map(|n| n.parse().expect("a number")).collect()
}
