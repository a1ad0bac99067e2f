//! The JSON of the service: lenient in what it reads, because no member of any answer is mandatory
//! and three shapes of errors are seen.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::field::Field;
use crate::model::reply::{Content, Data, Envelope, Unreadable};
use crate::model::workflow::{Details, Listed, OddWorkflow, Workflow};

use super::error::tidy;

/// The members that any of the shapes may have, with `data` as a `D`.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
struct Body<'a, D> {
    success: Option<bool>,
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default, alias = "errorCode")]
    error_code: Text<'a>,
    #[serde(borrow, default, alias = "errorMsg")]
    error_msg: Text<'a>,
    #[serde(borrow, default)]
    request_id: Text<'a>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    data: Option<D>,
    #[serde(default)]
    total: Count,
    /// Workspaces are listed without an envelope.
    #[serde(borrow)]
    workspaces: Option<&'a RawValue>,
    #[serde(default)]
    count: Count,
}

/// A count that may be missing, null or something else.
#[derive(Debug, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Ok(Self(text.0.and_then(|text| text.parse().ok())))
    }
}

/// IAM nests its error one level down.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nested<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

/// What `data` is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever it is, nobody looks at it.
    Nothing,
    /// A workflow, as far as an update can change it.
    Workflow,
    /// A workflow, with all that is known of it.
    Listed,
    /// A page of workflows.
    Page,
    /// Versions of a workflow.
    Versions,
    /// A page of workspaces.
    Workspaces,
}

impl Wanted {
    /// What `body` holds; nothing if it is something else. `is_lossy`: bytes that are no UTF-8 were replaced in it.
    fn data(self, body: &Body<'_, &RawValue>, is_lossy: bool) -> Data {
        let (data, total) = match self {
            Self::Workspaces => (body.workspaces, body.count.0),
            Self::Nothing | Self::Workflow | Self::Listed | Self::Page | Self::Versions => {
                (body.data, body.total.0)
            }
        };
        let Some(data) = data else {
            return Data::Nothing;
        };
        let data = data.get();
        let read = match self {
            Self::Nothing => None,
            // Whatever else it is, it is no workflow.
            Self::Workflow | Self::Listed if !data.starts_with('{') => None,
            Self::Workflow | Self::Listed => Some(match listed(data, is_lossy) {
                Ok(listed) => Data::Workflow(Box::new(listed)),
                Err(odd) => Data::Odd(odd),
            }),
            Self::Page => elements(data).map(|all| {
                let (mut workflows, mut odd) = (Vec::with_capacity(all.len()), Vec::new());
                for one in all {
                    match listed(one.get(), is_lossy) {
                        Ok(listed) => workflows.push(listed),
                        Err(one) => odd.push(one),
                    }
                }
                Data::Page {
                    workflows,
                    odd,
                    total,
                }
            }),
            // Nothing can be said of a version without an id, or of a workspace without one.
            Self::Versions => elements(data).map(|all| {
                let versions = all
                    .into_iter()
                    .filter_map(|one| salvaged(one.get(), &["id", "status"]).ok());
                Data::Versions(versions.collect())
            }),
            // One without an id is counted all the same.
            Self::Workspaces => elements(data).map(|all| Data::Workspaces {
                workspaces: all
                    .into_iter()
                    .map(|one| salvaged(one.get(), &["id"]).unwrap_or_default())
                    .collect(),
                total,
            }),
        };
        read.unwrap_or_default()
    }
}

/// The elements of a list.
fn elements(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// Members of a workflow without which it can be neither compared nor put back.
const NEEDED: [&str; 6] = [
    "id",
    "name",
    "description",
    "enabled",
    "version_id",
    "labels",
];

/// A workflow with all that is known of it.
fn listed(json: &str, is_lossy: bool) -> Result<Listed, OddWorkflow> {
    let listed = Listed {
        workflow: salvaged(json, &NEEDED)?,
        details: salvaged(json, &[])?,
    };
    // What was replaced would be sent back as it is shown.
    let workflow = &listed.workflow;
    let mut fields = Field::ALL.into_iter().filter(|_| is_lossy);
    let replaced =
        fields.find(|field| workflow.value(*field).contains(char::REPLACEMENT_CHARACTER));
    match replaced {
        Some(field) => Err(OddWorkflow {
            id: tidy(&workflow.id),
            field: field.to_string(),
            value: format!("{:?}, which is not UTF-8", tidy(workflow.value(field))),
        }),
        None => Ok(listed),
    }
}

/// A workflow with all that is known of it, as one object: it is read in one go.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Flat {
    id: Option<String>,
    name: Option<String>,
    description: Option<String>,
    enabled: Option<bool>,
    version_id: Option<String>,
    labels: Option<String>,
    update_time: Option<String>,
    modifier_name: Option<String>,
    version: Option<String>,
    aop_type: Option<String>,
    engine_type: Option<String>,
    dataclass_id: Option<String>,
    dataclass_name: Option<String>,
    owner_id: Option<String>,
    creator_id: Option<String>,
    creator_name: Option<String>,
    create_time: Option<String>,
    modifier_id: Option<String>,
    current_approval_version_id: Option<String>,
}

impl From<Flat> for Listed {
    fn from(flat: Flat) -> Self {
        Self {
            workflow: Workflow {
                id: flat.id.unwrap_or_default(),
                name: flat.name.unwrap_or_default(),
                description: flat.description.unwrap_or_default(),
                enabled: flat.enabled.unwrap_or_default(),
                version_id: flat.version_id.unwrap_or_default(),
                labels: flat.labels.unwrap_or_default(),
                update_time: flat.update_time.unwrap_or_default(),
                modifier_name: flat.modifier_name.unwrap_or_default(),
            },
            details: Details {
                version: flat.version.unwrap_or_default(),
                aop_type: flat.aop_type.unwrap_or_default(),
                engine_type: flat.engine_type.unwrap_or_default(),
                dataclass_id: flat.dataclass_id.unwrap_or_default(),
                dataclass_name: flat.dataclass_name.unwrap_or_default(),
                owner_id: flat.owner_id.unwrap_or_default(),
                creator_id: flat.creator_id.unwrap_or_default(),
                creator_name: flat.creator_name.unwrap_or_default(),
                create_time: flat.create_time.unwrap_or_default(),
                modifier_id: flat.modifier_id.unwrap_or_default(),
                current_approval_version_id: flat.current_approval_version_id.unwrap_or_default(),
            },
        }
    }
}

/// The object `json` without the members that are not what they should be: a message that was cut in the middle of a character
/// must not hide the code beside it. Nothing if it is no object.
fn without_odd_members(json: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let mut fit = String::from("{");
    for (name, value) in &members {
        let value = value.get();
        let is_container = matches!(name.as_str(), "data" | "workspaces" | "error");
        let value = match serde_json::from_str::<Value>(value) {
            Ok(Value::String(text)) if name == "success" => match text.as_str() {
                "true" => "true",
                "false" => "false",
                _ => continue,
            },
            Ok(Value::Bool(_) | Value::Null) => value,
            Ok(_) if name == "success" => continue,
            Ok(_) => value,
            Err(_) if is_container => value,
            Err(_) => continue,
        };
        if fit.len() > 1 {
            fit.push(',');
        }
        // A text always serializes.
        fit.push_str(&serde_json::to_string(name).unwrap_or_default());
        fit.push(':');
        fit.push_str(value);
    }
    fit.push('}');
    Some(fit)
}

/// `json` as a `T`. Only the members `needed` have to be what they should be; the others may be anything.
fn salvaged<T: DeserializeOwned>(json: &str, needed: &[&str]) -> Result<T, OddWorkflow> {
    // Nearly all are what they should be.
    if let Ok(whole) = serde_json::from_str(json) {
        return Ok(whole);
    }
    let odd = |id: &str, field: &str, value: &str| OddWorkflow {
        id: tidy(id),
        field: field.to_owned(),
        value: tidy(&value.chars().take(LONGEST_ODD).collect::<String>()),
    };
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_| odd("", "value", json))?;
    let text = |name: &str| {
        let value = members.get(name)?;
        serde_json::from_str::<String>(value.get()).ok()
    };
    let id = text("id").unwrap_or_default();
    let mut kept = Map::new();
    for (name, value) in &members {
        let read = serde_json::from_str::<Value>(value.get()).ok();
        let is_fit = |value: &Value| match value {
            Value::Null => true,
            Value::String(_) => name != "enabled",
            Value::Bool(_) => name == "enabled",
            Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        };
        match read.filter(is_fit) {
            Some(value) => {
                kept.insert(name.clone(), value);
            }
            None if needed.contains(&name.as_str()) => return Err(odd(&id, name, value.get())),
            None => {}
        }
    }
    serde_json::from_value(Value::Object(kept)).map_err(|_| odd(&id, "value", json))
}

/// As much as is kept of a value that cannot be read, in characters, until secrets are taken out of it.
const LONGEST_ODD: usize = 4_096;

/// `json` without a byte order mark, which may be ignored (RFC 8259, 8.1).
pub fn bare(json: &[u8]) -> &[u8] {
    json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json)
}

/// Reads the body of an answer. The second value is the request id in it, if any.
pub fn read(bytes: &[u8], wanted: Wanted) -> (Content, Option<String>) {
    let bytes = bare(bytes);
    // The lossy way is slow where nothing is lost.
    let (text, is_lossy) = match str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (String::from_utf8_lossy(bytes), true),
    };
    // Most answers are what they should be, and are read in one go.
    if wanted == Wanted::Workflow
        && !is_lossy
        && let Ok(mut body) = serde_json::from_str::<Body<'_, Workflow>>(&text)
    {
        let data = body.data.take().map(Data::of).unwrap_or_default();
        return envelope(body, data);
    }
    if wanted == Wanted::Page
        && !is_lossy
        && let Ok(mut body) = serde_json::from_str::<Body<'_, Vec<Flat>>>(&text)
        && let Some(workflows) = body.data.take()
    {
        let data = Data::Page {
            workflows: workflows.into_iter().map(Listed::from).collect(),
            odd: Vec::new(),
            total: body.total.0,
        };
        return envelope(body, data);
    }
    if let Ok(body) = serde_json::from_str::<Body<'_, &RawValue>>(&text) {
        let data = wanted.data(&body, is_lossy);
        return envelope(body, data);
    }
    let Some(fit) = without_odd_members(&text) else {
        return (unreadable(bytes), None);
    };
    match serde_json::from_str::<Body<'_, &RawValue>>(&fit) {
        Ok(body) => {
            let data = wanted.data(&body, is_lossy);
            envelope(body, data)
        }
        Err(_) => (unreadable(bytes), None),
    }
}

fn envelope<D>(body: Body<'_, D>, data: Data) -> (Content, Option<String>) {
    // Some put a text there, or nothing.
    let nested = body
        .error
        .and_then(|error| serde_json::from_str(error.get()).ok());
    let nested: Nested<'_> = nested.unwrap_or_default();
    let text = |texts: [Text<'_>; 3]| {
        let mut said = texts.into_iter().filter_map(|text| text.0);
        said.find(|text| !text.is_empty()).map(|text| tidy(&text))
    };
    let envelope = Envelope {
        success: body.success,
        code: text([body.error_code, body.code, nested.code]),
        message: text([body.error_msg, body.message, nested.message]),
        data,
    };
    (Content::Envelope(envelope), body.request_id.into_owned())
}

/// What a body is that is no JSON object.
fn unreadable(bytes: &[u8]) -> Content {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]);
    let start = text.trim_start().to_ascii_lowercase();
    let how = if start.is_empty() {
        Unreadable::Empty
    } else if start.starts_with('<') {
        Unreadable::Html
    } else {
        Unreadable::NotJson
    };
    let shown = match how {
        Unreadable::Html => title(&text).unwrap_or_default(),
        Unreadable::NotJson
        | Unreadable::Truncated
        | Unreadable::TooLarge
        | Unreadable::Encoded
        | Unreadable::Empty => &text,
    };
    Content::Unreadable {
        how,
        excerpt: tidy(shown),
    }
}

/// The title of a web page: what a person would have seen.
fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</")?;
    page.get(start..end)
}

/// A text that may have been written as a number, or be missing, null or something else.
#[derive(Debug, Default)]
struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    fn into_owned(self) -> Option<String> {
        self.0.map(Cow::into_owned).filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyText)
    }
}

struct AnyText;

impl<'de> Visitor<'de> for AnyText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(json: &str) -> (Envelope, Option<String>) {
        match read(json.as_bytes(), Wanted::Workflow) {
            (Content::Envelope(envelope), id) => (envelope, id),
            (content, _) => panic!("{content:?}"),
        }
    }

    #[test]
    fn the_vendors_example_answer_is_read() {
        let (envelope, _) = envelope(include_str!("../../tests/data/update-answer.json"));
        assert_eq!(envelope.success, Some(true));
        assert_eq!(envelope.code.as_deref(), Some("00000000"));
        let live = envelope.data.into_workflow().unwrap();
        assert_eq!(live.name, "Test_aop");
        assert_eq!(live.labels, "IP");
        assert_eq!(live.update_time, "2025-07-18T14:47:16.939Z+0800");
    }

    #[test]
    fn all_shapes_of_errors_are_read() {
        for (json, code, message, id) in [
            (
                r#"{"code":"SecMaster.1","message":"m"}"#,
                "SecMaster.1",
                "m",
                None,
            ),
            (
                r#"{"error_code":"SecMaster.1","error_msg":"m"}"#,
                "SecMaster.1",
                "m",
                None,
            ),
            (
                r#"{"error_msg":"m","error_code":"APIG.0301","request_id":"r"}"#,
                "APIG.0301",
                "m",
                Some("r"),
            ),
            (r#"{"errorCode":"E","errorMsg":"m"}"#, "E", "m", None),
            (
                r#"{"code":"\u001b[31mE","error":"Bad Request","message":"m"}"#,
                "[31mE",
                "m",
                None,
            ),
            (r#"{"code":0,"message":"m","data":[]}"#, "0", "m", None),
            (
                r#"{"error":{"code":401,"message":"m","title":"t"}}"#,
                "401",
                "m",
                None,
            ),
            (
                r#"{"code":null,"error_code":"E","message":"m","data":null}"#,
                "E",
                "m",
                None,
            ),
        ] {
            let (envelope, request_id) = envelope(json);
            assert_eq!(envelope.code.as_deref(), Some(code), "{json}");
            assert_eq!(envelope.message.as_deref(), Some(message), "{json}");
            assert_eq!(request_id.as_deref(), id, "{json}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_an_answer() {
        let (envelope, _) = envelope("\u{feff}{\"message\":\"m\"}");
        assert_eq!(envelope.message.as_deref(), Some("m"));
    }

    /// What the page of these workflows shows: the ids that could be read, and what is said of the others.
    fn page(workflows: &str) -> (Vec<String>, Vec<String>) {
        let json = format!("{{\"data\":[{workflows}],\"total\":9}}");
        let (Content::Envelope(envelope), _) = read(json.as_bytes(), Wanted::Page) else {
            panic!("{json}")
        };
        let Data::Page {
            workflows,
            odd,
            total,
        } = envelope.data
        else {
            panic!("{json}: {:?}", envelope.data)
        };
        assert_eq!(total, Some(9));
        let ids = workflows.into_iter().map(|listed| listed.workflow.id);
        (
            ids.collect(),
            odd.iter().map(OddWorkflow::to_string).collect(),
        )
    }

    #[test]
    fn one_odd_workflow_is_left_out_alone_and_named() {
        let well = r#"{"id":"w1","name":"a"}"#;
        for (odd, said) in [
            (
                r#"{"id":"w2","name":5}"#,
                "workflow w2 has the name 5, which cannot be read",
            ),
            (
                r#"{"id":"w2","description":"\ud83d half"}"#,
                "workflow w2 has the description \"\\ud83d half\", which cannot be read",
            ),
            (
                r#"{"id":"w2","labels":["IP"]}"#,
                "workflow w2 has the labels [\"IP\"], which cannot be read",
            ),
            (
                r#"{"id":"w2","enabled":"true"}"#,
                "workflow w2 has the enabled \"true\", which cannot be read",
            ),
            (
                r#"{"id":{"x":1},"name":"a"}"#,
                "a workflow has the id {\"x\":1}, which cannot be read",
            ),
            ("7", "a workflow has the value 7, which cannot be read"),
        ] {
            let (ids, told) = page(&format!("{well},{odd},{well}"));
            assert_eq!(ids, ["w1", "w1"], "{odd}");
            assert_eq!(told, [said]);
            let json = format!("{{\"data\":{odd}}}");
            let (Content::Envelope(envelope), _) = read(json.as_bytes(), Wanted::Listed) else {
                panic!("{json}")
            };
            assert_eq!(envelope.data.into_workflow(), None, "{odd}");
        }
    }

    #[test]
    fn a_member_that_is_not_needed_fails_nothing() {
        for odd in [
            r#""creator_name":"\ud83d""#,
            r#""update_time":17"#,
            r#""version":{"a":[]},"modifier_name":false"#,
            r#""something":"\udc00""#,
        ] {
            let workflow = format!("{{\"id\":\"w1\",\"description\":\"d\",{odd}}}");
            assert_eq!(page(&workflow), (vec!["w1".to_owned()], vec![]), "{odd}");
        }
    }

    #[test]
    fn an_odd_version_or_workspace_is_left_out_alone() {
        let json =
            r#"{"data":[{"id":"v1","status":"activated","version":3},{"id":4,"status":"x"}]}"#;
        let (Content::Envelope(envelope), _) = read(json.as_bytes(), Wanted::Versions) else {
            panic!("{json}")
        };
        let Data::Versions(versions) = envelope.data else {
            panic!("{:?}", envelope.data)
        };
        assert_eq!(versions.len(), 1);
        let json = r#"{"workspaces":[{"id":"a","name":5},{"id":"b","name":"B"},{"name":"\ud83d","id":[]}],"count":3}"#;
        let (Content::Envelope(envelope), _) = read(json.as_bytes(), Wanted::Workspaces) else {
            panic!("{json}")
        };
        let Data::Workspaces { workspaces, .. } = envelope.data else {
            panic!("{:?}", envelope.data)
        };
        let names: Vec<_> = workspaces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["", "B", ""]);
    }

    #[test]
    fn a_member_that_cannot_be_read_hides_no_other() {
        for json in [
            r#"{"error_code":"APIG.0308","error_msg":"cut \ud83d"}"#,
            r#"{"error_code":"APIG.0308","success":"yes"}"#,
            r#"{"error_code":"APIG.0308","success":1,"data":[7]}"#,
        ] {
            assert_eq!(
                envelope(json).0.code.as_deref(),
                Some("APIG.0308"),
                "{json}"
            );
        }
        assert_eq!(envelope(r#"{"success":"false"}"#).0.success, Some(false));
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_not_taken_for_another() {
        let json = b"{\"data\":[{\"id\":\"w1\",\"name\":\"a\"},{\"id\":\"w2\",\"description\":\"x\xed\xa0\xbd\"}]}";
        let (Content::Envelope(envelope), _) = read(json, Wanted::Page) else {
            panic!("it is JSON")
        };
        let Data::Page { workflows, odd, .. } = envelope.data else {
            panic!("{:?}", envelope.data)
        };
        assert_eq!(workflows.len(), 1);
        assert!(
            odd[0].to_string().contains("w2 has the description"),
            "{odd:?}"
        );
    }

    #[test]
    fn a_body_that_is_no_json_object_is_told_by_kind() {
        for (body, how, excerpt) in [
            ("", Unreadable::Empty, ""),
            (" \n", Unreadable::Empty, ""),
            (
                "<!DOCTYPE html><html><head><TITLE>Log in</TITLE></head></html>",
                Unreadable::Html,
                "Log in",
            ),
            ("<html></html>", Unreadable::Html, ""),
            (
                "upstream\x1b[31m error\n",
                Unreadable::NotJson,
                "upstream[31m error",
            ),
            ("[1]", Unreadable::NotJson, "[1]"),
            (
                r#"{"success":tru"#,
                Unreadable::NotJson,
                r#"{"success":tru"#,
            ),
        ] {
            let expected = Content::Unreadable {
                how,
                excerpt: excerpt.into(),
            };
            assert_eq!(
                read(body.as_bytes(), Wanted::Workflow).0,
                expected,
                "{body:?}"
            );
        }
    }
}
