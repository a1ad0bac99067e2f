//! A cloud of one's own for tests of the binary: the simulator's world and gateway in this process, so that
//! a test can look behind the counter.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use flowbatch::model::id::Id;
use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::Workspace;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::server;
use flowbatch::simulator::world::World;
use tokio::sync::oneshot;

/// A region of the cloud, ended when dropped.
pub(crate) struct Cloud {
    pub(crate) address: String,
    pub(crate) access: Access,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cloud {
    /// Serves those who have `access`.
    pub(crate) fn start(access: Access) -> Self {
        let quick = Simulation {
            latency: (Duration::ZERO, Duration::from_millis(2)),
            ..Simulation::default()
        };
        Self::with(access, quick)
    }

    /// The same, with faults and whatever else.
    pub(crate) fn with(access: Access, simulation: Simulation) -> Self {
        let world = World::new(simulation);
        let world = Arc::new(Mutex::new(world));
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let (served, accessed) = (Arc::clone(&world), access.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = server::bind(0, served, accessed).await.unwrap();
                tell.send(server.address()).unwrap();
                server
                    .serve(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        Self {
            address: format!("http://{}", told.recv().unwrap()),
            access,
            world,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Sees to it that `count` workflows exist in the workspace; gives their ids.
    pub(crate) fn workflows(&self, workspace: &Workspace, count: usize) -> Vec<String> {
        let mut world = self.world();
        world.populate(workspace, count);
        let workflows = world.workflows(workspace);
        workflows.map(|workflow| workflow.id.clone()).collect()
    }

    /// How many workflows of the workspace are described as `description`.
    pub(crate) fn described(&self, workspace: &Workspace, description: &str) -> usize {
        let world = self.world();
        let workflows = world.workflows(workspace);
        workflows
            .filter(|workflow| workflow.description == description)
            .count()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

pub(crate) fn workspace(project: &str, workspace: &str) -> Workspace {
    Workspace {
        project_id: id(project),
        workspace_id: id(workspace),
    }
}
