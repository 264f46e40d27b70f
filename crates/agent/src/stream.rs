//! Records on their way to a client: JSON lines, read from the journal as the client takes them. Nothing is kept for a
//! client that does not read, and nobody waits for it.

use std::collections::HashSet;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use hayward_model::{Action, Guard, Record};
use hayward_record::{
    JournalError,
    journal::{Follow, Order, Query, Records, Start, User},
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::watch;

use crate::agent::Agent;

/// Size from which a chunk is sent on.
const CHUNK: usize = 64 << 10;

/// At most so many records of the past come before what is followed: they are turned round in memory.
const PAST: usize = 10_000;

/// Parameters of `GET /v1/events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventsQuery {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    guard: Option<Guard>,
    action: Option<Action>,
    rule: Option<String>,
    workload: Option<String>,
    user: Option<String>,
    id: Option<String>,
    limit: Option<usize>,
    newest: bool,
    /// First the newest `limit` records, oldest first, and then what comes, for as long as the client stays.
    follow: bool,
}

/// The answer's body.
pub(crate) fn records(agent: &Agent, asked: EventsQuery) -> Result<Body, JournalError> {
    let follow = asked.follow;
    let query = Query {
        since: asked.since,
        until: asked.until,
        guard: asked.guard,
        action: asked.action,
        rule: asked.rule,
        workload: asked.workload,
        user: asked.user.as_deref().map(User::from),
        id: asked.id,
        limit: if follow {
            Some(asked.limit.unwrap_or(PAST).min(PAST))
        } else {
            asked.limit
        },
        order: if asked.newest || follow {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        },
    };
    let reader = agent.pipeline.recorder.reader();
    if !follow {
        return Ok(past(reader.query(query)?));
    }
    let appended = agent.appended.subscribe();
    // The place to go on from is taken first: what is appended while the past is read comes in both, and is dropped
    // from the second.
    let mut follow = reader.follow(query.clone(), Start::Now)?;
    let mut first = reader.query(query)?.collect::<Result<Vec<_>, _>>()?;
    first.reverse();
    let seen: HashSet<&str> = first.iter().map(|record| record.id.as_str()).collect();
    let mut meanwhile = follow.poll()?;
    meanwhile.retain(|record| !seen.contains(record.id.as_str()));
    first.extend(meanwhile);
    Ok(coming(Tail {
        first,
        follow,
        appended,
    }))
}

fn past(records: Records) -> Body {
    Body::from_stream(unfold(Some(records), async |records| {
        let mut records = records?;
        // Another client's turn.
        tokio::task::yield_now().await;
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            match records.next() {
                Some(Ok(record)) => write(&mut chunk, &record),
                Some(Err(error)) => return Some((Err(error), None)),
                None if chunk.is_empty() => return None,
                None => return Some((Ok(Bytes::from(chunk)), None)),
            }
        }
        Some((Ok(Bytes::from(chunk)), Some(records)))
    }))
}

/// What a client that follows has not been sent yet.
struct Tail {
    first: Vec<Record>,
    follow: Follow,
    appended: watch::Receiver<()>,
}

fn coming(tail: Tail) -> Body {
    Body::from_stream(unfold(Some(tail), async |tail| {
        let mut tail = tail?;
        let mut records = std::mem::take(&mut tail.first);
        while records.is_empty() {
            // Marked before the journal is read, so that what is appended in between wakes this again.
            tail.appended.mark_unchanged();
            match tail.follow.poll() {
                Ok(more) if more.is_empty() => tail.appended.changed().await.ok()?,
                Ok(more) => records = more,
                Err(error) => return Some((Err(error), None)),
            }
        }
        let mut chunk = Vec::new();
        for record in &records {
            write(&mut chunk, record);
        }
        Some((Ok(Bytes::from(chunk)), Some(tail)))
    }))
}

fn write(chunk: &mut Vec<u8>, record: &Record) {
    // A record that came from JSON goes back to it.
    if serde_json::to_writer(&mut *chunk, record).is_ok() {
        chunk.push(b'\n');
    }
}
