use super::super::call::{Invalid, ListQuery, SortBy};
use super::*;
use crate::model::id::Id;
use crate::model::simulation::Fault;
use crate::model::update::{Label, Update};

const NOW: Duration = Duration::from_secs(1);

fn workspace(id: &str) -> Workspace {
    Workspace {
        project_id: Id::parse("p").unwrap(),
        workspace_id: Id::parse(id).unwrap(),
    }
}

fn here() -> Workspace {
    workspace("ws")
}

/// A world with the workflow "w" and its version "v", and another one "w2" with "v2".
fn world(simulation: Simulation) -> World {
    let mut world = World::new(simulation);
    world.adopt(&here(), "w", Some("v"));
    world.adopt(&here(), "w2", Some("v2"));
    world
}

fn ask(world: &mut World, operation: Operation) -> Answered {
    let call = Call {
        workspace: here(),
        operation,
    };
    let handled = world.handle(&call, NOW);
    let Delivery::Whole(answered) = handled.delivery else {
        panic!("{handled:?}")
    };
    answered
}

fn put(update: Update) -> Operation {
    Operation::UpdateWorkflow {
        workflow_id: "w".into(),
        update: Ok(update),
    }
}

fn code(answered: &Answered) -> &str {
    if let Answered::Refused(refusal) = answered {
        refusal.code
    } else {
        ""
    }
}

fn list(world: &mut World, query: ListQuery) -> Vec<String> {
    let answered = ask(world, Operation::ListWorkflows(Ok(query)));
    let Answered::Workflows(page) = answered else {
        panic!("{answered:?}")
    };
    page.data.into_iter().map(|w| w.id).collect()
}

#[test]
fn a_put_changes_only_what_is_sent_and_the_time() {
    let mut world = world(Simulation::default());
    let before = world.workflow(&here(), "w").unwrap().clone();
    let update = Update {
        description: Some(String::new()),
        labels: Some(Label::Ip),
        ..Update::default()
    };
    let answered = ask(&mut world, put(update));
    let after = world.workflow(&here(), "w").unwrap().clone();
    assert_eq!(answered, Answered::Workflow(Box::new(after.clone())));
    assert!(before.update_time < after.update_time);
    let expected = WorkflowRecord {
        description: String::new(),
        labels: "IP".into(),
        update_time: after.update_time.clone(),
        ..before
    };
    assert_eq!(after, expected);
}

#[test]
fn a_put_of_an_unknown_workflow_is_a_400() {
    let mut world = world(Simulation::default());
    let answered = ask(
        &mut world,
        Operation::UpdateWorkflow {
            workflow_id: "x".into(),
            update: Ok(Update::default()),
        },
    );
    let Answered::Refused(refusal) = answered else {
        panic!("{answered:?}")
    };
    assert_eq!((refusal.status, refusal.code), (400, "SecMaster.20040611"));
}

#[test]
fn a_workspace_nobody_knows_is_a_403() {
    for workspace in [
        workspace("elsewhere"),
        Workspace {
            project_id: Id::parse("other").unwrap(),
            ..here()
        },
    ] {
        let call = Call {
            workspace,
            operation: Operation::ListWorkflows(Ok(ListQuery::default())),
        };
        let handled = world(Simulation::default()).handle(&call, NOW);
        let Delivery::Whole(Answered::Refused(refusal)) = handled.delivery else {
            panic!("{handled:?}")
        };
        assert_eq!((refusal.status, refusal.code), (403, "SecMaster.20010001"));
    }
}

#[test]
fn enabling_wants_a_published_version_of_the_workflow() {
    let draft = "draft";
    for (enabled, version_id, expected) in [
        (Some(true), Some("v"), ""),
        (Some(true), None, "SecMaster.20041002"),
        (Some(true), Some(""), "SecMaster.20041002"),
        (Some(true), Some("v2"), "SecMaster.20041002"),
        (Some(true), Some(draft), "SecMaster.20041002"),
        (Some(true), Some("nowhere"), "SecMaster.20040605"),
        (Some(false), None, ""),
        (Some(false), Some(""), ""),
        (None, Some(""), ""),
        (None, Some("v2"), "SecMaster.20041002"),
    ] {
        let mut world = world(Simulation::default());
        world.draft(&here(), "w", draft, VersionStatus::PendingApproval);
        let before = world.workflow(&here(), "w").unwrap().clone();
        let answered = ask(
            &mut world,
            put(Update {
                name: Some("New".into()),
                enabled,
                version_id: version_id.map(str::to_owned),
                ..Update::default()
            }),
        );
        assert_eq!(code(&answered), expected, "{enabled:?} {version_id:?}");
        let after = world.workflow(&here(), "w").unwrap();
        if expected.is_empty() {
            assert_eq!(after.name, "New");
        } else {
            assert_eq!(*after, before, "a refused update changes nothing");
        }
    }
}

#[test]
fn enabling_puts_the_version_into_use_and_the_one_before_out_of_it() {
    let mut world = world(Simulation::default());
    world.adopt(&here(), "w", Some("newer"));
    ask(
        &mut world,
        put(Update {
            enabled: Some(true),
            version_id: Some("newer".into()),
            ..Update::default()
        }),
    );
    let workflow = world.workflow(&here(), "w").unwrap();
    assert_eq!(
        (workflow.version_id.as_str(), workflow.version.as_str()),
        ("newer", "v2.0")
    );
    for (status, expected) in [
        (VersionStatus::Activated, "newer"),
        (VersionStatus::NotActivated, "v"),
    ] {
        let operation = Operation::ListVersions {
            workflow_id: "w".into(),
            status: Ok(Some(status)),
        };
        let Answered::Versions(page) = ask(&mut world, operation) else {
            panic!("no versions")
        };
        let ids: Vec<_> = page.data.iter().map(|version| &version.id).collect();
        assert_eq!(ids, [expected], "{status:?}");
    }
}

#[test]
fn what_could_not_be_read_is_an_invalid_parameter() {
    let mut world = world(Simulation::default());
    for operation in [
        Operation::UpdateWorkflow {
            workflow_id: "w".into(),
            update: Err(Invalid("labels".into())),
        },
        Operation::ListWorkflows(Err(Invalid("order".into()))),
        Operation::ListWorkflows(Ok(ListQuery {
            limit: 101,
            ..ListQuery::default()
        })),
        Operation::ListVersions {
            workflow_id: "w".into(),
            status: Err(Invalid("status".into())),
        },
        put(Update {
            name: Some("n".repeat(1_025)),
            ..Update::default()
        }),
    ] {
        assert_eq!(code(&ask(&mut world, operation)), "SecMaster.20041002");
    }
    let unknown = Operation::ShowVersion {
        version_id: "x".into(),
    };
    assert_eq!(code(&ask(&mut world, unknown)), "SecMaster.20040605");
}

#[test]
fn a_list_is_sorted_filtered_and_cut() {
    let mut world = World::new(Simulation::default());
    world.populate(&here(), 12);
    let made: Vec<String> = world.workflows(&here()).map(|w| w.id.clone()).collect();
    let newest_first: Vec<String> = made.iter().rev().take(10).cloned().collect();
    assert_eq!(list(&mut world, ListQuery::default()), newest_first);
    let ascending = ListQuery {
        descending: false,
        offset: 10,
        ..ListQuery::default()
    };
    assert_eq!(list(&mut world, ascending.clone()), made[10..]);
    let enabled = ListQuery {
        enabled: Some(true),
        ..ListQuery::default()
    };
    assert_eq!(list(&mut world, enabled).len(), 2);
    let host = ListQuery {
        name: Some("host".into()),
        ..ListQuery::default()
    };
    assert_eq!(list(&mut world, host), made[..1]);
    ask(
        &mut world,
        Operation::UpdateWorkflow {
            workflow_id: made[3].clone(),
            update: Ok(Update::default()),
        },
    );
    let latest = ListQuery {
        sort_by: SortBy::UpdateTime,
        limit: 1,
        ..ListQuery::default()
    };
    assert_eq!(list(&mut world, latest), made[3..4]);
}

#[test]
fn populating_twice_or_anew_gives_the_same_workflows() {
    let mut world = World::new(Simulation::default());
    world.populate(&here(), 20);
    let once = world.to_json().unwrap();
    world.populate(&here(), 20);
    assert_eq!(world.to_json().unwrap(), once);
    let mut anew = World::new(Simulation::default());
    anew.populate(&here(), 20);
    assert_eq!(anew.to_json().unwrap(), once);
    let workflow = world.workflows(&here()).next().unwrap();
    assert_eq!(workflow.name, "Isolate host 1");
    let dashes: Vec<_> = workflow.id.match_indices('-').map(|(at, _)| at).collect();
    assert_eq!((workflow.id.len(), dashes), (36, vec![8, 13, 18, 23]));
}

#[test]
fn adopting_what_is_known_changes_nothing() {
    let mut world = world(Simulation::default());
    let once = world.to_json().unwrap();
    world.adopt(&here(), "w", None);
    world.adopt(&here(), "w", Some("v"));
    world.adopt(&here(), "w", Some(""));
    assert_eq!(world.to_json().unwrap(), once);
    let workflow = world.workflow(&here(), "w").unwrap();
    assert_eq!(
        (workflow.enabled, workflow.version_id.as_str()),
        (false, "v")
    );
}

#[test]
fn a_kept_world_goes_on_where_it_stopped() {
    let mut first = world(Simulation::default());
    let rename = put(Update {
        name: Some("Kept".into()),
        ..Update::default()
    });
    ask(&mut first, rename);
    let mut second = World::new(Simulation::default());
    second.merge_json(&first.to_json().unwrap()).unwrap();
    assert_eq!(second.to_json().unwrap(), first.to_json().unwrap());
    let before = second.workflow(&here(), "w").unwrap().clone();
    assert_eq!(before.name, "Kept");
    ask(&mut second, put(Update::default()));
    let after = second.workflow(&here(), "w").unwrap();
    assert!(before.update_time < after.update_time);
    assert_ne!(first.requests, second.requests);
    assert!(second.merge_json("{}").is_err());
}

#[test]
fn a_throttled_request_is_told_in_the_gateways_words_and_counts_for_nothing() {
    let faulty = Simulation {
        rate_limits: vec!["1/s".parse().unwrap()],
        retry_after: true,
        faults: vec![Fault {
            kind: FaultKind::Unavailable,
            share: 0.5,
        }],
        ..Simulation::default()
    };
    let show = Call {
        workspace: here(),
        operation: Operation::ShowWorkflow {
            workflow_id: "w".into(),
        },
    };
    let mut limited = world(faulty.clone());
    limited.keep_ledger();
    for second in 0..32 {
        let now = Duration::from_secs(second);
        limited.handle(&show, now);
        let again = limited.handle(&show, now + Duration::from_millis(1));
        let Delivery::Whole(Answered::Refused(refusal)) = again.delivery else {
            panic!("{again:?}")
        };
        assert_eq!(
            (refusal.status, refusal.retry_after),
            (429, Some(Duration::from_secs(1)))
        );
        assert_eq!(
            refusal.message,
            "The throttling threshold has been reached: policy user over ratelimit,limit:1,time:1 second"
        );
    }
    let mut free = world(Simulation {
        rate_limits: Vec::new(),
        ..faulty
    });
    free.keep_ledger();
    for _ in 0..32 {
        free.handle(&show, NOW);
    }
    let fates = |world: &World| -> Vec<What> {
        let entries = world.ledger().iter();
        let whats = entries.map(|entry| entry.what);
        whats.filter(|what| *what != What::Throttled).collect()
    };
    assert_eq!(fates(&limited), fates(&free));
    assert_eq!(limited.ledger().len(), 64);
}

#[test]
fn the_same_seed_gives_the_same_faults_whatever_the_order_of_requests() {
    let simulation = Simulation {
        faults: vec![
            Fault {
                kind: FaultKind::Reset,
                share: 0.3,
            },
            Fault {
                kind: FaultKind::Slow,
                share: 0.3,
            },
        ],
        ..Simulation::default()
    };
    let mut requests: Vec<(usize, u32)> =
        (0..8).flat_map(|w| (0..4).map(move |n| (w, n))).collect();
    let fates = |requests: &[(usize, u32)]| {
        let mut world = World::new(simulation.clone());
        world.populate(&here(), 8);
        world.keep_ledger();
        let ids: Vec<String> = world.workflows(&here()).map(|w| w.id.clone()).collect();
        for (workflow, _) in requests {
            let call = Call {
                workspace: here(),
                operation: Operation::ShowWorkflow {
                    workflow_id: ids[*workflow].clone(),
                },
            };
            world.handle(&call, NOW);
        }
        let mut fates: HashMap<String, Vec<What>> = HashMap::new();
        for entry in world.ledger() {
            fates
                .entry(entry.subject.clone())
                .or_default()
                .push(entry.what);
        }
        fates
    };
    let in_order = fates(&requests);
    fastrand::Rng::with_seed(7).shuffle(&mut requests);
    assert_eq!(fates(&requests), in_order);
}
