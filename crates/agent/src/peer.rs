//! Who is at the other end of the socket, by what the kernel says of it, and what names go with the numbers.

use std::fs;

use axum::{extract::connect_info::Connected, http::StatusCode, serve::IncomingStream};
use hayward_model::Actor;
use tokio::net::UnixListener;

use crate::{Agent, api::ApiError};

/// What /proc/PID/loginuid says of a process that nobody logged in for.
const NO_LOGIN: u32 = u32::MAX;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    uid: u32,
    pid: u32,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred();
        // Whoever cannot be told is nobody.
        credentials.map_or(
            Self {
                uid: u32::MAX,
                pid: 0,
            },
            |credentials| Self {
                uid: credentials.uid(),
                pid: credentials
                    .pid()
                    .and_then(|pid| u32::try_from(pid).ok())
                    .unwrap_or(0),
            },
        )
    }
}

impl Peer {
    /// Only root and the group of operators act. The group of readers is kept by the socket's own permissions.
    pub(crate) fn operator(self, agent: &Agent) -> Result<Actor, ApiError> {
        if self.uid == 0 || is_member(self.uid, &agent.policy().api.operators) {
            return Ok(Actor {
                uid: self.uid,
                pid: self.pid,
                name: user_name(self.uid),
                login: self.login(),
            });
        }
        let message = format!(
            "{} may look and not act: use sudo",
            user_name(self.uid).map_or_else(
                || format!("uid {}", self.uid),
                |name| format!("{name} (uid {})", self.uid)
            )
        );
        Err(ApiError(StatusCode::FORBIDDEN, message))
    }

    /// Who had logged in before becoming who acts, as with sudo; none where that is the same, or unknown.
    fn login(self) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/loginuid", self.pid)).ok()?;
        let uid: u32 = text.trim().parse().ok()?;
        if uid == NO_LOGIN || uid == self.uid {
            return None;
        }
        Some(user_name(uid).unwrap_or_else(|| format!("uid {uid}")))
    }
}

/// A user's name. Looked up in the file itself, like the groups': a static binary has no name service.
fn user_name(uid: u32) -> Option<String> {
    name_of(&passwd(), uid)
}

/// Whether a user belongs to a group, as the files of users and groups say.
fn is_member(uid: u32, group: &str) -> bool {
    is_member_by(&passwd(), &groups(), uid, group)
}

/// A group's number.
pub(crate) fn group_id(name: &str) -> Option<u32> {
    let groups = groups();
    let group = entries(&groups).find(|fields| fields[0] == name)?;
    group.get(2)?.parse().ok()
}

fn passwd() -> String {
    fs::read_to_string("/etc/passwd").unwrap_or_default()
}

fn groups() -> String {
    fs::read_to_string("/etc/group").unwrap_or_default()
}

/// The fields of each line.
fn entries(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().map(|line| line.split(':').collect())
}

/// The line of a user: name, password, number, number of the first group, and more.
fn user_of(passwd: &str, uid: u32) -> Option<Vec<&str>> {
    entries(passwd).find(|fields| fields.len() > 3 && fields[2].parse() == Ok(uid))
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    user_of(passwd, uid).map(|fields| fields[0].to_owned())
}

fn is_member_by(passwd: &str, groups: &str, uid: u32, group: &str) -> bool {
    let user = user_of(passwd, uid);
    let group = entries(groups).find(|fields| fields.len() > 3 && fields[0] == group);
    user.zip(group).is_some_and(|(user, group)| {
        user[3] == group[2] || group[3].split(',').any(|member| member == user[0])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number_and_odd_lines_are_passed_over() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\nbroken\nann:x:1000:100::/home/ann:\n";
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(name_of(passwd, 100), None);
    }

    #[test]
    fn members_of_a_group_are_those_it_lists_and_those_whose_first_group_it_is() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";
        let groups = "root:x:0:\nbroken:x\nstaff:x:100:\noperators:x:50:carol,bob\n";
        let is_member = |uid, group| is_member_by(passwd, groups, uid, group);
        assert!(is_member(1001, "operators"));
        assert!(is_member(1000, "staff"));
        assert!(!is_member(1000, "operators"));
        assert!(!is_member(1001, "root"));
        assert!(!is_member(1001, "bo"));
        assert!(!is_member(1002, "operators"));
        assert!(!is_member(1001, "nobody-knows-it"));
    }
}
