//! A service with odd manners, by hand: what our own simulator would never hold or answer. It shares no code with the program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::plant::PROJECT;

pub(crate) const WORKSPACE: &str = "s1";

/// A request as the service sees it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The workflow that it is about; empty for a list.
    pub(crate) id: &'a str,
    pub(crate) body: &'a Value,
    /// The how-manieth update of this workflow it is, from 1; 0 of a reading.
    pub(crate) put: u32,
}

/// What the service answers instead of what it should.
pub(crate) enum Odd {
    /// As any service.
    No,
    /// This status, and nothing is done.
    Refuses(u16),
    /// The update is applied, and this status is answered.
    AppliedThen(u16),
    /// The connection ends.
    Closes,
    /// This body, and nothing is done.
    Says(Value),
    /// This status without a body, and nothing is done.
    Bare(u16),
    /// This status and this body, and nothing is done.
    Answers(u16, Value),
}

type Manners = dyn Fn(&mut BTreeMap<String, Value>, &Asked<'_>) -> Odd + Send + Sync;

struct Shared {
    flows: Mutex<BTreeMap<String, Value>>,
    puts: Mutex<BTreeMap<String, u32>>,
    manners: Mutex<Arc<Manners>>,
    is_over: AtomicBool,
}

/// The service; it ends when dropped.
pub(crate) struct Service {
    pub(crate) address: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A workflow as the service shows it.
pub(crate) fn workflow(number: usize) -> Value {
    json!({
        "id": format!("w{number}"), "name": format!("W{number}"), "description": format!("d{number}"),
        "enabled": false, "version_id": format!("v{number}"), "labels": "IP", "modifier_name": "ana",
        "update_time": "2025-07-18T14:47:16.939Z+0800", "create_time": "2025-01-01T00:00:00.000Z+0800",
        "workspace_id": WORKSPACE, "project_id": PROJECT, "version": "1",
    })
}

impl Service {
    /// A service with `count` workflows, w1 and so on.
    pub(crate) fn with(count: usize) -> Self {
        let flows = (1..=count).map(|number| (format!("w{number}"), workflow(number)));
        let shared = Arc::new(Shared {
            flows: Mutex::new(flows.collect()),
            puts: Mutex::default(),
            manners: Mutex::new(Arc::new(|_, _| Odd::No)),
            is_over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.converse(stream));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// From now on it behaves like this.
    pub(crate) fn behaves(
        &self,
        manners: impl Fn(&mut BTreeMap<String, Value>, &Asked<'_>) -> Odd + Send + Sync + 'static,
    ) {
        *self.shared.manners.lock().unwrap() = Arc::new(manners);
    }

    /// From now on it behaves as it should.
    pub(crate) fn is_well(&self) {
        self.behaves(|_, _| Odd::No);
    }

    pub(crate) fn flows(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.shared.flows.lock().unwrap()
    }

    /// A field of a workflow as it is now.
    pub(crate) fn field(&self, id: &str, field: &str) -> Value {
        self.flows()[id][field].clone()
    }

    /// Sets a field of a workflow, as its author did.
    pub(crate) fn set(&self, id: &str, field: &str, value: impl Into<Value>) {
        self.flows().get_mut(id).unwrap()[field] = value.into();
    }

    /// Updates that came for a workflow.
    pub(crate) fn puts(&self, id: &str) -> u32 {
        let puts = self.shared.puts.lock().unwrap();
        puts.get(id).copied().unwrap_or_default()
    }

    /// Where it is, and fast.
    pub(crate) fn target(&self) -> String {
        format!(
            "--endpoint {} --project-id {PROJECT} --workspace-id {WORKSPACE} --rate 1000/s --burst 50",
            self.address
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Answers the requests of one connection until it ends.
    fn converse(&self, stream: TcpStream) {
        let Ok(own) = stream.try_clone() else { return };
        let (mut reader, mut writer) = (BufReader::new(own), stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let mut words = line.split_whitespace().map(str::to_owned);
            let (Some(method), Some(target)) = (words.next(), words.next()) else {
                return;
            };
            let mut length = 0;
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header).unwrap_or(0) == 0 {
                    return;
                }
                if header.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = header.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let Some((status, answer)) = self.answer(&method, &target, &body) else {
                return;
            };
            let answer = match answer {
                Value::Null => String::new(),
                answer @ (Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_)) => answer.to_string(),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nX-Request-Id: r\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            if writer.write_all((head + &answer).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, target: &str, body: &[u8]) -> Option<(u16, Value)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let envelope = |data: Value, total: usize| json!({"code": "00000000", "message": "", "success": true, "data": data, "total": total});
        let id = parts.get(6).copied().unwrap_or_default();
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let put = match method {
            "PUT" => {
                let mut puts = self.puts.lock().unwrap();
                let count = puts.entry(id.to_owned()).or_default();
                *count += 1;
                *count
            }
            _ => 0,
        };
        let manners = Arc::clone(&self.manners.lock().unwrap());
        let mut flows = self.flows.lock().unwrap();
        let asked = Asked {
            method,
            path,
            id,
            body: &body,
            put,
        };
        let odd = manners(&mut flows, &asked);
        let refusal = |status| {
            let text = json!({"error_code": "SecMaster.20049999", "error_msg": "internal error"});
            (status, text)
        };
        match &odd {
            Odd::Refuses(status) => return Some(refusal(*status)),
            Odd::Closes => return None,
            Odd::Bare(status) => return Some((*status, Value::Null)),
            Odd::Says(body) => return Some((200, body.clone())),
            Odd::Answers(status, body) => return Some((*status, body.clone())),
            Odd::No | Odd::AppliedThen(_) => {}
        }
        if parts.len() == 3 {
            let workspaces = json!([{"id": WORKSPACE, "name": "SOC"}]);
            return Some((200, json!({"count": 1, "workspaces": workspaces})));
        }
        if id.is_empty() {
            let number = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs
                    .find(|(known, _)| *known == name)?
                    .1
                    .parse::<usize>()
                    .ok()
            };
            let all: Vec<_> = flows.values().cloned().collect();
            let page = all.iter().skip(number("offset").unwrap_or(0));
            let page: Vec<_> = page.take(number("limit").unwrap_or(10)).cloned().collect();
            return Some((200, envelope(page.into(), all.len())));
        }
        let Some(flow) = flows.get_mut(id) else {
            return Some((
                400,
                json!({"code": "SecMaster.20040611", "message": "workflow not found"}),
            ));
        };
        if parts.len() == 8 {
            let version = id.replace('w', "v");
            let version = json!([{"id": version, "status": "activated", "create_time": "2025-01-01T00:00:00Z"}]);
            return Some((200, envelope(version, 1)));
        }
        if let Value::Object(sent) = body {
            for (field, value) in sent {
                flow[field] = value;
            }
        }
        if let Odd::AppliedThen(status) = odd {
            return Some(refusal(status));
        }
        Some((200, envelope(flow.clone(), 1)))
    }
}

/// The answer that shows this workflow.
pub(crate) fn shows(workflow: Value) -> Odd {
    Odd::Says(json!({"code": "00000000", "success": true, "data": workflow}))
}
