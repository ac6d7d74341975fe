//! What is told of an index and of the answers to queries, as JSON and as text.

use super::Work;
use crate::output;
use gabor::neighbors::Answer;
use gabor::report::{class_name, count, table};
use serde_json::{Value, json};

impl Work<'_> {
    pub(super) fn about(&self) -> Value {
        let i = &self.index;
        json!({
            "index": self.file.as_ref().map(|f| f.display().to_string()),
            "model": i.model,
            "layer": i.layer,
            "width": i.features().width(),
            "count": i.len(),
            "dead": i.dead(),
            "metric": self.a.metric.name(),
        })
    }
    pub(super) fn head(&self) -> String {
        let i = &self.index;
        let file =
            self.file.as_ref().map_or(String::new(), |f| format!("{}  ", output::bold(&f.display().to_string())));
        let dead = match i.dead() {
            0 => String::new(),
            n => format!(" ({n} dead: 0 on all of them)"),
        };
        format!(
            "{file}{} pictures, {} features{dead} of {} in {}\n",
            count(i.len() as u64),
            i.features().width(),
            i.layer,
            i.model
        )
    }
    pub(super) fn answer_json(&self, a: &Answer) -> Value {
        let i = &self.index;
        let near = a.near.iter().map(
            |n| json!({ "index": n.index, "id": i.ids[n.index], "class": i.class(n.index), "distance": n.distance }),
        );
        let class = a.own.map(|own| i.class(own));
        json!({ "id": a.name, "index": a.own, "class": class, "neighbors": near.collect::<Vec<_>>() })
    }
    pub(super) fn answer_table(&self, answers: &[Answer]) -> String {
        let mut rows = Vec::new();
        for a in answers {
            for (r, n) in a.near.iter().enumerate() {
                let name = if r == 0 { a.name.clone() } else { String::new() };
                let i = &self.index;
                rows.push(vec![
                    name,
                    n.index.to_string(),
                    class_name(i.class(n.index)).into(),
                    format!("{:.4}", n.distance),
                    i.ids[n.index].clone(),
                ]);
            }
        }
        table(&["query", "picture", "class", "distance", "name"], &[false, true, false, true, false], &rows)
    }
}
