//! Who is at the other end of the socket, by what the kernel says of it, and what names go with the numbers.

use std::fs;

use axum::{extract::connect_info::Connected, http::StatusCode, serve::IncomingStream};
use hayward_model::Actor;
use tokio::net::UnixListener;

use crate::api::ApiError;

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
    /// Only root acts. The group of readers is kept by the socket's own permissions.
    pub(crate) fn operator(self) -> Result<Actor, ApiError> {
        if self.uid == 0 {
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

/// A user's name. Looked up in the file itself, like the group's: a static binary has no name service.
fn user_name(uid: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    name_of(&text, uid)
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

/// A group's number.
pub(crate) fn group_id(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
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
}
