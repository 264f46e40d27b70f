//! Docker's API, which Podman speaks too: events of containers, which tell their names, images and labels, and a list
//! now and then.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hayward_model::Runtime;
use serde::Deserialize;
use tokio::time::{interval, sleep};

use super::{ANSWER, Connection, Follower, Problem, SINGLE_ANSWER, http, in_time, next};
use crate::{Named, Owner};

/// How often the list is read beside the events: only to see that the runtime still answers, and lost none.
const LIST: Duration = Duration::from_secs(60);

/// What is between two events that are read from a user's runtime: it could send any number.
const PAUSE_OF_USERS: Duration = Duration::from_millis(5);

/// `{"type":["container"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

/// Events of so long ago are asked for too: what was run and removed before somebody asked has a name all the same. Docker
/// keeps 256 of them for as long as it runs.
const PAST: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    #[serde(default)]
    version: String,
    #[serde(default)]
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(default)]
    action: String,
    actor: Actor,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
}

/// What an event says of a container.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Runs(Box<Named>),
    Ended(String),
}

/// Follows one socket until something fails.
pub(super) async fn follow(follower: &Follower<'_>) -> Result<Infallible, Problem> {
    let Follower { directory, socket } = follower;
    let version = in_time("version", ANSWER, async {
        http::get(socket, "/version").await?.json::<Version>().await
    });
    let version = version.await?;
    let runtime = version.runtime();
    // Before the list: what starts between the two is in one of them.
    let mut events = in_time("events", ANSWER, http::get(socket, &events_since(PAST))).await?;
    let owner = events.owner;
    // A user's runtime tells of what it starts, and is not told of others'.
    let is_host = owner == Owner::Host;
    let mut wanted = is_host.then(|| directory.requests());
    let mut timer = interval(LIST);
    let mut connected = false;
    loop {
        tokio::select! {
            _ = timer.tick() => {
                let listed = in_time("the list of containers", ANSWER, list(follower, "")).await?;
                let running: HashSet<&str> = listed.iter().map(|listed| listed.id.as_str()).collect();
                directory.end_all_but(socket.source, owner, &running);
                for listed in &listed {
                    directory.learn(socket.source, owner, &listed.named(runtime));
                }
                if !connected {
                    connected = true;
                    follower.say(version.connection());
                }
            }
            line = events.line() => {
                let line = line.map_err(|why| format!("events: {why}"))?;
                match news(&line, runtime)? {
                    Some(News::Runs(named)) => directory.learn(socket.source, owner, &named),
                    Some(News::Ended(id)) => directory.end(owner, &id),
                    None => {}
                }
                if !is_host {
                    sleep(PAUSE_OF_USERS).await;
                }
            }
            request = next(&mut wanted) => {
                // The list again, of one, whether it runs or not: the same shape as the whole.
                let only = format!("?all=true&filters=%7B%22id%22%3A%5B%22{}%22%5D%7D", request.id);
                let listed = in_time("a container", SINGLE_ANSWER, list(follower, &only)).await?;
                if let Some(listed) = listed.iter().find(|listed| *listed.id == *request.id) {
                    directory.learn(socket.source, owner, &listed.named(runtime));
                    request.found();
                }
            }
        }
    }
}

fn events_since(past: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = now.unwrap_or_default().saturating_sub(past);
    format!("{EVENTS}&since={}", since.as_secs())
}

async fn list(follower: &Follower<'_>, query: &str) -> Result<Vec<Listed>, Problem> {
    let path = format!("/containers/json{query}");
    http::get(follower.socket, &path).await?.json().await
}

impl Version {
    fn runtime(&self) -> Option<Runtime> {
        let components = self.components.as_deref().unwrap_or_default();
        let is_podman = components
            .iter()
            .any(|component| component.name.contains("Podman"));
        Some(if is_podman {
            Runtime::Podman
        } else {
            Runtime::Docker
        })
    }

    fn connection(&self) -> Connection {
        let name = self.components.as_deref().and_then(<[_]>::first);
        let name = name.map_or("Docker", |component| &component.name);
        Connection::Connected {
            runtime: self.runtime(),
            version: format!("{name} {}", self.version),
        }
    }
}

impl Listed {
    fn named(&self, runtime: Option<Runtime>) -> Named {
        let names = self.names.as_deref().unwrap_or_default();
        // Links give a container further names, which are paths.
        let own = names
            .iter()
            .map(|name| name.trim_start_matches('/'))
            .find(|name| !name.contains('/'));
        Named {
            id: self.id.clone(),
            name: own.unwrap_or_default().to_owned(),
            image: self.image.clone(),
            labels: self.labels.clone().unwrap_or_default(),
            pod: None,
            runtime,
            running: !["exited", "dead", "removing", "stopped"].contains(&self.state.as_str()),
        }
    }
}

/// What a line of events says. None where it is about something else, such as a health check.
fn news(line: &[u8], runtime: Option<Runtime>) -> Result<Option<News>, Problem> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let event: Event = serde_json::from_slice(line)
        .map_err(|error| format!("an event is not as expected: {error}"))?;
    let id = event.actor.id;
    match event.action.as_str() {
        "create" | "start" | "rename" => {}
        // Podman's words follow Docker's.
        "die" | "destroy" | "died" | "remove" => return Ok(Some(News::Ended(id))),
        _ => return Ok(None),
    }
    // They stand among the labels.
    let mut labels = event.actor.attributes.unwrap_or_default();
    let mut take = |key: &str| labels.remove(key).unwrap_or_default();
    let (name, image) = (take("name"), take("image"));
    for key in ["oldName", "containerExitCode", "podId"] {
        take(key);
    }
    Ok(Some(News::Runs(Box::new(Named {
        id,
        name: name.trim_start_matches('/').to_owned(),
        image,
        labels,
        pod: None,
        runtime,
        running: true,
    }))))
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};

    use super::*;

    const LIST: &str = r#"[{"Id":"f00","Names":["/web/alias","/db"],"Image":"postgres:17","ImageID":"sha256:1",
        "Command":"x","Created":1,"Ports":[],"Labels":{"team":"a"},"State":"running","Status":"Up"},
        {"Id":"ba5","Names":null,"Labels":null,"State":"exited"}]"#;
    const START: &str = r#"{"status":"start","id":"f00","from":"busybox","Type":"container","Action":"start",
        "Actor":{"ID":"f00","Attributes":{"image":"busybox","name":"job","team":"a"}},"scope":"local","time":1}"#;

    #[test]
    fn a_list_tells_names_images_and_labels() {
        let listed: Vec<Listed> = serde_json::from_str(LIST).expect("a list");
        let first = listed[0].named(Some(Runtime::Docker));
        assert_eq!((&*first.name, &*first.image), ("db", "postgres:17"));
        assert_eq!(first.labels["team"], "a");
        assert!(first.running);
        let second = listed[1].named(None);
        assert_eq!(second.name, "");
        assert!(!second.running);
    }

    #[test]
    fn an_event_tells_all_of_a_container() {
        let Ok(Some(News::Runs(named))) = news(START.as_bytes(), None) else {
            panic!("it starts")
        };
        assert_eq!((&*named.id, &*named.name), ("f00", "job"));
        assert_eq!(named.image, "busybox");
        assert_eq!(named.labels.len(), 1);
        let died = START.replace("start", "die");
        assert_eq!(
            news(died.as_bytes(), None),
            Ok(Some(News::Ended("f00".to_owned())))
        );
        let checked = START.replace("start", "exec_create: true");
        assert_eq!(news(checked.as_bytes(), None), Ok(None));
        assert!(news(b"{}", None).is_err());
    }

    #[test]
    fn podman_is_told_from_docker() {
        let version = |name: &str| {
            let text = format!(r#"{{"Version":"1","Components":[{{"Name":"{name}"}}]}}"#);
            serde_json::from_str::<Version>(&text).expect("a version")
        };
        let podman = version("Podman Engine");
        assert_eq!(podman.runtime(), Some(Runtime::Podman));
        assert_eq!(version("Engine").runtime(), Some(Runtime::Docker));
        let connection = podman.connection();
        assert!(
            matches!(connection, Connection::Connected { version, .. } if version == "Podman Engine 1")
        );
    }

    #[test]
    fn parsing_damaged_answers_never_panics() {
        let corpus = Corpus::new([LIST, START], ["null", "\"Id\"", "{", "["]);
        throw(500, &corpus.damaged(), |input| {
            let _ = news(&input.0, None);
            if let Ok(listed) = serde_json::from_slice::<Vec<Listed>>(&input.0) {
                for listed in listed {
                    listed.named(None);
                }
            }
            Ok(())
        });
    }
}
