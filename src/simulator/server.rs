//! The world behind real HTTP on loopback: HTTP/1.1, and HTTP/2 for whoever begins with it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::access::Access;
use super::answer::{Answered, Refusal};
use super::call::{Call, Operation};
use super::clock::http_date;
use super::message::Message;
use super::response::{self, AnswerBody};
use super::route::{Asked, route};
use super::signature::Received;
use super::wire;
use super::workspaces::WorkspacesCall;
use super::world::World;

/// The gateway's limit for a request body.
const LARGEST_BODY: usize = 12 << 20;
/// Tokens may have 2 MiB.
const LARGEST_HEAD: usize = 4 << 20;
/// After a connection could not be taken, for want of file descriptors.
const BREATH: Duration = Duration::from_millis(10);

/// The world behind a socket.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
}

/// Listens on 127.0.0.1; with port 0 on one that the kernel picks. The world's time begins now.
///
/// # Errors
/// The port cannot be had.
pub async fn bind(port: u16, world: Arc<Mutex<World>>, access: Access) -> io::Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: it gives the world its time"
    )]
    let began = Instant::now();
    Ok(Server {
        address: listener.local_addr()?,
        listener,
        desk: Arc::new(Desk {
            world,
            access,
            began,
        }),
    })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` comes, then drops all connections.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => {}
                taken = self.listener.accept() => match taken {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, Arc::clone(&self.desk)));
                    }
                    Err(_) => pause(BREATH).await,
                },
            }
        }
    }
}

/// The real time. Signatures and tokens are dated by it, and other clients have no other.
fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: it gives the gateway its time"
    )]
    Timestamp::now()
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a shell: answers take as long as the world says"
        )]
        tokio::time::sleep(time).await;
    }
}

async fn converse(stream: TcpStream, desk: Arc<Desk>) {
    // Without it small answers wait for the client's acknowledgement; with an error they just do.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(LARGEST_HEAD);
    builder.http2().max_header_list_size(LARGEST_HEAD as u32);
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { desk.answer(request).await }
    });
    // It ends with an error whenever a fault cuts it off.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Where requests are answered.
struct Desk {
    world: Arc<Mutex<World>>,
    access: Access,
    began: Instant,
}

impl Desk {
    /// An error ends the connection (with HTTP/2 the stream) without an answer.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<AnswerBody>> {
        let mut response = self.respond(request).await?;
        let date = http_date(self.access.clock(now()));
        let date = HeaderValue::try_from(date).map_err(io::Error::other)?;
        response.headers_mut().insert(DATE, date);
        Ok(response)
    }

    async fn respond(&self, request: Request<Incoming>) -> io::Result<Response<AnswerBody>> {
        let (head, body) = request.into_parts();
        let (method, path) = (head.method.as_str(), head.uri.path());
        let query = head.uri.query().unwrap_or_default();
        let Some(asked) = route(method, path, query) else {
            return self.refuse(Refusal::no_such_api());
        };
        let Some(body) = read(body).await? else {
            return self.refuse(Refusal::too_large());
        };
        let received = Received {
            method,
            path,
            query,
            authority: head.uri.authority().map(|authority| authority.as_str()),
            headers: &head.headers,
            body: &body,
        };
        match asked {
            Asked::Service(call) => self.serve(call, &received).await,
            Asked::Workspaces(call) => self.list_workspaces(&call, &received).await,
            Asked::Iam(call) => match self.access.iam(&call, &received, now()) {
                Ok(message) => self.pass_on(message),
                Err(refusal) => self.refuse(refusal),
            },
            Asked::Metadata(call) => self.pass_on(self.access.metadata(call, &received, now())),
        }
    }

    async fn serve(
        &self,
        mut call: Call,
        received: &Received<'_>,
    ) -> io::Result<Response<AnswerBody>> {
        let workspace = &call.workspace;
        let project_id = &workspace.project_id;
        let admitted = self
            .access
            .admit(received, project_id, Some(workspace), now());
        if let Err(refusal) = admitted {
            return self.refuse(refusal);
        }
        if let Operation::UpdateWorkflow { update, .. } = &mut call.operation {
            *update = wire::update(received.body);
        }
        let handled = self.world().handle(&call, self.began.elapsed());
        pause(handled.after).await;
        response::deliver(handled).await
    }

    async fn list_workspaces(
        &self,
        call: &WorkspacesCall,
        received: &Received<'_>,
    ) -> io::Result<Response<AnswerBody>> {
        let admitted = self.access.admit(received, &call.project_id, None, now());
        if let Err(refusal) = admitted {
            return self.refuse(refusal);
        }
        let handled = self.world().list_workspaces(call, self.began.elapsed());
        pause(handled.after).await;
        response::deliver(handled).await
    }

    /// Answers for whoever lives next door to the service.
    fn pass_on(&self, message: Message) -> io::Result<Response<AnswerBody>> {
        let request_id = self.world().next_request_id();
        response::of_message(message, &request_id)
    }

    /// The gateway refuses what it does not let in.
    fn refuse(&self, refusal: Refusal) -> io::Result<Response<AnswerBody>> {
        let request_id = self.world().next_request_id();
        response::of_answer(&Answered::Refused(refusal), &request_id)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // Whoever panicked with it left it whole: a call changes all or nothing.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body; nothing if it is too large.
async fn read(body: Incoming) -> io::Result<Option<Bytes>> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(Some(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}
