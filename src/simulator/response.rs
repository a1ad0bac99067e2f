//! From an answer to what HTTP sends.

use std::future::pending;
use std::io;

use futures::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};

use super::answer::{Answered, Delivery, Handled, Refusal};
use super::message::Message;
use super::wire;

/// A body that may end in the middle.
pub(super) type AnswerBody = BoxBody<Bytes, io::Error>;

/// The response that says `answered`.
pub(super) fn of_answer(answered: &Answered, request_id: &str) -> io::Result<Response<AnswerBody>> {
    let body = wire::body(answered, request_id)?;
    respond(answered, request_id, whole(body))
}

/// The response that says `message`.
pub(super) fn of_message(message: Message, request_id: &str) -> io::Result<Response<AnswerBody>> {
    let mut builder = Response::builder()
        .status(message.status)
        .header(CONTENT_TYPE, message.content_type)
        .header("X-request-id", request_id);
    if let Some(token) = message.subject_token {
        builder = builder.header("X-Subject-Token", token);
    }
    builder.body(whole(message.body)).map_err(io::Error::other)
}

/// The response that `handled` makes; an error where the connection is to end instead.
pub(super) async fn deliver(handled: Handled) -> io::Result<Response<AnswerBody>> {
    let request_id = &handled.request_id;
    match &handled.delivery {
        Delivery::Whole(answered) => of_answer(answered, request_id),
        Delivery::Cut(answered) => {
            let body = wire::body(answered, request_id)?;
            let announced = body.len();
            let mut response = respond(answered, request_id, cut(body))?;
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, announced.into());
            Ok(response)
        }
        Delivery::WebPage => Response::builder()
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .body(whole(wire::WEB_PAGE))
            .map_err(io::Error::other),
        Delivery::Closed => Err(io::ErrorKind::ConnectionReset.into()),
        Delivery::Never => pending().await,
    }
}

fn respond(
    answered: &Answered,
    request_id: &str,
    body: AnswerBody,
) -> io::Result<Response<AnswerBody>> {
    let mut builder = Response::builder()
        .status(answered.status())
        .header(CONTENT_TYPE, "application/json")
        .header("X-request-id", request_id);
    if let Answered::Refused(Refusal {
        retry_after: Some(wait),
        ..
    }) = answered
    {
        builder = builder.header(RETRY_AFTER, wait.as_secs());
    }
    builder.body(body).map_err(io::Error::other)
}

fn whole(body: impl Into<Bytes>) -> AnswerBody {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed()
}

/// The first half of `body`, then an error.
fn cut(body: Vec<u8>) -> AnswerBody {
    let mut half = Bytes::from(body);
    half.truncate(half.len() / 2);
    let end = stream::once(async {
        // hyper sends what it has before it looks again, and finds the error.
        tokio::task::yield_now().await;
        Err(io::ErrorKind::ConnectionReset.into())
    });
    let frames = stream::iter([Ok(Frame::data(half))]).chain(end);
    BodyExt::boxed(StreamBody::new(frames))
}
