//! The world as a service in memory: no sockets, and time that tests can wind.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::ports::{Request, Service};
use crate::model::reading::{Of, PAGE};
use crate::model::reply::{Answer, Cause, Content, Data, Envelope, Reply, Silence, Unreadable};
use crate::model::update::Update;

use super::answer::{Answered, Delivery, Handled};
use super::call::{Call, ListQuery, Operation};
use super::records::{VersionRecord, WorkflowRecord, WorkspaceRecord};
use super::workspaces::{WorkspacesCall, WorkspacesQuery};
use super::world::World;

/// The world as a service in memory.
#[derive(Clone, Debug)]
pub struct Memory {
    world: Arc<Mutex<World>>,
    began: Instant,
}

impl Memory {
    /// Serves `world`, whose time begins now.
    pub fn new(world: Arc<Mutex<World>>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a shell: it gives the world its time"
        )]
        let began = Instant::now();
        Self { world, began }
    }
}

impl Service for Memory {
    async fn send(&self, request: &Request, timeout: Duration) -> Reply {
        let reply = tokio::time::timeout(timeout, self.answer(request)).await;
        reply.unwrap_or_else(|_elapsed| Reply::Silence(Silence::timed_out(timeout)))
    }
}

impl Memory {
    async fn answer(&self, request: &Request) -> Reply {
        let now = self.began.elapsed();
        let handled = {
            // A test that panicked elsewhere leaves a world that is still whole.
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            match call(request) {
                Asked::Soc(call) => world.handle(&call, now),
                Asked::Workspaces(call) => world.list_workspaces(&call, now),
            }
        };
        if !handled.after.is_zero() {
            #[expect(
                clippy::disallowed_methods,
                reason = "a shell: the answer takes as long as the world says"
            )]
            tokio::time::sleep(handled.after).await;
        }
        match reply(handled) {
            Some(reply) => reply,
            None => pending().await,
        }
    }
}

/// What a request asks the world.
enum Asked {
    Soc(Call),
    Workspaces(WorkspacesCall),
}

fn call(request: &Request) -> Asked {
    Asked::Soc(Call {
        workspace: request.workspace().clone(),
        operation: match request {
            Request::Get(row) => Operation::ShowWorkflow {
                workflow_id: row.workflow_id.to_string(),
            },
            Request::Put(row, update) => Operation::UpdateWorkflow {
                workflow_id: row.workflow_id.to_string(),
                update: Ok(Update::clone(update)),
            },
            Request::Read(reading) => match &reading.of {
                Of::Page(page) => Operation::ListWorkflows(Ok(ListQuery {
                    offset: usize::try_from(page.offset).unwrap_or(usize::MAX),
                    limit: PAGE as usize,
                    descending: page.from_the_end,
                    enabled: page.enabled,
                    ..ListQuery::default()
                })),
                Of::Workflow(id) => Operation::ShowWorkflow {
                    workflow_id: id.to_string(),
                },
                Of::Versions(id) => Operation::ListVersions {
                    workflow_id: id.to_string(),
                    status: Ok(None),
                },
                Of::Workspaces(offset, _) => {
                    return Asked::Workspaces(WorkspacesCall {
                        project_id: reading.workspace.project_id.clone(),
                        query: Ok(WorkspacesQuery {
                            offset: usize::try_from(*offset).unwrap_or(usize::MAX),
                            limit: PAGE as usize,
                            ..WorkspacesQuery::default()
                        }),
                    });
                }
            },
        },
    })
}

/// What a client makes of `handled`; nothing if there is never an answer.
fn reply(handled: Handled) -> Option<Reply> {
    let whole = Answer {
        http_status: 200,
        request_id: Some(handled.request_id),
        ..Answer::default()
    };
    let unreadable = |how, excerpt: &str| Content::Unreadable {
        how,
        excerpt: excerpt.to_owned(),
    };
    let answer = match handled.delivery {
        Delivery::Whole(Answered::Refused(refusal)) => Answer {
            http_status: refusal.status,
            retry_after: refusal.retry_after,
            content: Content::Envelope(Envelope {
                code: Some(refusal.code.to_owned()),
                message: Some(refusal.message),
                ..Envelope::default()
            }),
            ..whole
        },
        Delivery::Whole(answered) => Answer {
            content: Content::Envelope(success(&answered)),
            ..whole
        },
        Delivery::Cut(_) => Answer {
            content: unreadable(Unreadable::Truncated, ""),
            ..whole
        },
        Delivery::WebPage => Answer {
            request_id: None,
            content: unreadable(Unreadable::Html, "<html>"),
            ..whole
        },
        Delivery::Closed => {
            return Some(Reply::Silence(Silence {
                cause: Cause::Lost,
                detail: "connection closed before the answer".into(),
            }));
        }
        Delivery::Never => return None,
    };
    Some(Reply::Answer(answer))
}

fn success(answered: &Answered) -> Envelope {
    Envelope {
        success: Some(true),
        code: Some("00000000".into()),
        message: Some(String::new()),
        data: match answered {
            Answered::Workflow(workflow) => Data::Workflow(Box::new(workflow.listed())),
            Answered::Workflows(page) => Data::Page {
                workflows: page.data.iter().map(WorkflowRecord::listed).collect(),
                odd: Vec::new(),
                total: Some(page.total as u64),
            },
            Answered::Versions(page) => {
                Data::Versions(page.data.iter().map(VersionRecord::seen).collect())
            }
            Answered::Workspaces(page) => Data::Workspaces {
                workspaces: page.data.iter().map(WorkspaceRecord::named).collect(),
                total: Some(page.total as u64),
            },
            Answered::Workspace(_) | Answered::Version(_) | Answered::Refused(_) => Data::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3_600);

    use super::*;
    use crate::model::id::Id;
    use crate::model::row::Row;
    use crate::model::simulation::{Fault, FaultKind, Simulation};
    use crate::model::target::{LaneId, Workspace};
    use crate::model::update::Update;

    fn put(workflow_id: &str) -> Request {
        let update = Update {
            name: Some("New".into()),
            ..Update::default()
        };
        let row = Row {
            update: update.clone(),
            ..Row::new(1, LaneId(0), workspace(), Id::parse(workflow_id).unwrap())
        };
        Request::Put(Arc::new(row), Arc::new(update))
    }

    fn workspace() -> Workspace {
        Workspace {
            project_id: Id::parse("p").unwrap(),
            workspace_id: Id::parse("ws").unwrap(),
        }
    }

    fn memory(fault: Option<FaultKind>) -> Memory {
        let fault = fault.map(|kind| Fault { kind, share: 1.0 });
        let mut world = World::new(Simulation {
            faults: fault.into_iter().collect(),
            latency: (Duration::from_secs(1), Duration::from_secs(1)),
            ..Simulation::default()
        });
        world.adopt(&workspace(), "w", None);
        Memory::new(Arc::new(Mutex::new(world)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_put_is_echoed_after_its_latency() {
        let memory = memory(None);
        let reply = memory.send(&put("w"), HOUR).await;
        assert_eq!(memory.began.elapsed(), Duration::from_secs(1));
        let Reply::Answer(Answer {
            http_status: 200,
            request_id: Some(_),
            content: Content::Envelope(envelope),
            ..
        }) = reply
        else {
            panic!("{reply:?}")
        };
        assert_eq!(envelope.success, Some(true));
        assert_eq!(envelope.data.into_workflow().unwrap().name, "New");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_workflow_is_refused_as_the_service_refuses_it() {
        let reply = memory(None).send(&put("x"), HOUR).await;
        let Reply::Answer(Answer {
            http_status: 400,
            content: Content::Envelope(envelope),
            ..
        }) = reply
        else {
            panic!("{reply:?}")
        };
        assert_eq!(envelope.code.as_deref(), Some("SecMaster.20040611"));
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_shows_as_a_client_sees_it_and_is_applied_or_not() {
        for (kind, seen, applied) in [
            (FaultKind::Reset, "lost", false),
            (FaultKind::ResetAfter, "lost", true),
            (FaultKind::Truncated, "200 Truncated", true),
            (FaultKind::Html, "200 Html", false),
            (FaultKind::Hang, "nothing", false),
            (FaultKind::InternalError, "500 SecMaster.00000001", false),
            (FaultKind::Unavailable, "503 APIG.0613", false),
            (FaultKind::Slow, "200 00000000", true),
            (FaultKind::Lost, "200 00000000", false),
            (
                FaultKind::InternalErrorAfter,
                "500 SecMaster.00000001",
                true,
            ),
            (FaultKind::UnavailableAfter, "503 APIG.0613", true),
            (FaultKind::Other, "200 00000000", true),
            (FaultKind::Stale, "200 00000000", true),
            (FaultKind::Clears, "200 00000000", true),
            (FaultKind::Trims, "200 00000000", true),
        ] {
            let memory = memory(Some(kind));
            let minute = Duration::from_secs(60);
            let seen_now = match tokio::time::timeout(minute, memory.send(&put("w"), HOUR)).await {
                Err(_) => "nothing".to_owned(),
                Ok(Reply::Silence(silence)) => {
                    assert_eq!(silence.cause, Cause::Lost);
                    "lost".to_owned()
                }
                Ok(Reply::Answer(answer)) => match answer.content {
                    Content::Unreadable { how, .. } => format!("{} {how:?}", answer.http_status),
                    Content::Envelope(Envelope { code, .. }) => {
                        format!("{} {}", answer.http_status, code.unwrap())
                    }
                },
            };
            assert_eq!(seen_now, seen, "{kind}");
            let world = memory.world.lock().unwrap();
            let name = &world.workflow(&workspace(), "w").unwrap().name;
            assert_eq!(name == "New", applied, "{kind}");
        }
    }
}
