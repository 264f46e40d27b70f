//! Addresses at which metrics are served.

use std::net::SocketAddr;

use hayward_record::compat::{
    cryptnono::{EXECWHACKER_PORT, FLOWKILLER_PORT},
    scanblocker::SCANBLOCKER_PORT,
};
use hayward_yaml::{Spanned, line_of};

use super::Checker;

impl Checker {
    pub(super) fn listen(&mut self, listen: Option<Spanned<String>>) -> Option<Option<SocketAddr>> {
        let Some(listen) = listen else {
            return Some("127.0.0.1:9752".parse().ok());
        };
        if listen.value == "none" {
            return Some(None);
        }
        let parsed = listen.value.parse().map(Some);
        let message = format!("`listen: {}` is no address with a port", listen.value);
        self.checked(
            line_of(&listen),
            parsed.map_err(|_| format!("{message}; write 127.0.0.1:9752 or none")),
        )
    }

    /// Where nothing is set, on every address, as cryptnono does: it runs in a pod.
    pub(super) fn cryptnono_listen(
        &mut self,
        listen: Option<Spanned<[String; 2]>>,
    ) -> Option<[SocketAddr; 2]> {
        let Some(listen) = listen else {
            return Some(
                [EXECWHACKER_PORT, FLOWKILLER_PORT].map(|port| ([0, 0, 0, 0], port).into()),
            );
        };
        if let [Ok(execwhacker), Ok(flowkiller)] = listen.value.each_ref().map(|text| text.parse())
        {
            return Some([execwhacker, flowkiller]);
        }
        let message = format!(
            "`cryptnono: {:?}` are not two addresses with ports",
            listen.value
        );
        let help = "write those of execwhacker and flowkiller, such as [\"0.0.0.0:12121\", \"0.0.0.0:12122\"]";
        self.problem(line_of(&listen), message, help);
        None
    }

    /// Where nothing is set, on every address, as scanblocker does.
    pub(super) fn scanblocker_listen(
        &mut self,
        listen: Option<Spanned<String>>,
    ) -> Option<SocketAddr> {
        let Some(listen) = listen else {
            return Some(([0, 0, 0, 0], SCANBLOCKER_PORT).into());
        };
        let parsed = listen.value.parse().map_err(|_| {
            format!(
                "`scanblocker: {}` is no address with a port; write one such as 0.0.0.0:8080",
                listen.value
            )
        });
        self.checked(line_of(&listen), parsed)
    }
}
