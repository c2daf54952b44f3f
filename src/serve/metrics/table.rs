//! The list of metrics as a table in Markdown.

use super::list::{Kind, all};

/// The table; a test holds the one in `etc/monitoring/metrics.md` to it.
pub fn markdown() -> String {
    let mut text = String::from("| metric | type | unit | labels | what |\n|---|---|---|---|---|\n");
    for metric in all() {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!("| `{}` | {kind} | {} | {} | {} |\n", metric.name, metric.unit(), labels.join(", "), metric.help));
    }
    text
}
