//! The JSON Schema of a job file, for editors.

use serde_json::{Map, Value, json};

use crate::model::field::Field;

use super::column::Column;
use super::keys::{self, Key, Takes};

/// The schema, in the draft that editors of TOML read.
pub fn schema() -> Value {
    let mut schema = table(&keys::file());
    let about = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "flowbatch job",
        "description": "Changes to many Huawei Cloud SecMaster workflows: flowbatch run JOB.toml",
    });
    if let (Value::Object(schema), Value::Object(about)) = (&mut schema, about) {
        schema.extend(about);
    }
    schema
}

/// A table with these keys and no others.
fn table(keys: &[Key]) -> Value {
    let property = |key: &Key| {
        let mut property = takes(&key.takes);
        if let Value::Object(property) = &mut property {
            property.insert("description".to_owned(), json!(key.what));
        }
        (key.name.to_owned(), property)
    };
    let properties: Map<_, _> = keys.iter().map(property).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn takes(takes: &Takes) -> Value {
    // A string may hold `${NAME}`, whatever else is wanted of it.
    let like =
        |pattern: &str| json!({"type": "string", "pattern": format!("^({pattern}|.*\\$\\{{.*)$")});
    match takes {
        Takes::Text => json!({"type": "string"}),
        Takes::OneOf(words) => json!({"enum": words}),
        Takes::Bool => json!({"type": "boolean"}),
        Takes::Whole(least, u64::MAX) => json!({"type": "integer", "minimum": least}),
        Takes::Whole(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Takes::Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Takes::Duration => like(r" *[0-9.]+ *(ms|s|m|min|h|d) *"),
        Takes::Rate => like(r" *[0-9]+ */ *[a-z]+ *|auto"),
        Takes::OwnRate => like(r" *[0-9]+ */ *[a-z]+ *"),
        Takes::Daytime => like(r"([01]?[0-9]|2[0-3]):[0-5][0-9]"),
        Takes::Most => json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            like(r" *[0-9.]+ *%? *"),
        ]}),
        Takes::Mosts => json!({"type": "array", "items": {"anyOf": [
            {"type": "integer", "minimum": 1},
            like(r" *[0-9.]+ *%? *"),
        ]}}),
        Takes::Pause => like(r"none|confirm| *[0-9.]+ *(ms|s|m|min|h|d) *"),
        Takes::SomeOf(words) => json!({"anyOf": [
            {"enum": words},
            {"type": "array", "items": {"enum": words}},
        ]}),
        Takes::Texts => json!({"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
        ]}),
        Takes::Cell(Column::Wish(Field::Enabled) | Column::Expect(Field::Enabled)) => {
            json!({"type": ["boolean", "string"]})
        }
        Takes::Cell(_) => json!({"type": "string"}),
        Takes::Table(keys) => table(keys),
        Takes::Tables(keys) => json!({"type": "array", "items": table(keys)}),
        Takes::Names(what) => json!({
            "type": "object",
            "additionalProperties": {"type": "string", "description": what},
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schema of a key below `schema`, with the key.
    fn properties(schema: &Value, at: &str, found: &mut Vec<(String, Value)>) {
        for part in ["properties", "items"] {
            match (part, &schema[part]) {
                ("properties", Value::Object(keys)) => {
                    for (key, property) in keys {
                        let name = format!("{at}.{key}");
                        found.push((name.clone(), property.clone()));
                        properties(property, &name, found);
                    }
                }
                (_, Value::Null) => {}
                (_, items) => properties(items, at, found),
            }
        }
    }

    #[test]
    fn every_key_is_described() {
        let mut found = Vec::new();
        properties(&schema(), "", &mut found);
        assert!(found.len() > 80, "{}", found.len());
        for (name, property) in found {
            let what = property["description"].as_str().unwrap_or_default();
            assert!(what.ends_with('.') && what.len() > 10, "{name}: {what:?}");
        }
    }
}
