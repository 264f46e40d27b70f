//! Where bans are obeyed: the kernel's maps, or what stands for them in tests.

use std::{collections::BTreeSet, time::Duration};

use hayward_kernel::{InboundBans, InboundNever, KernelBan, KernelError};
use hayward_model::BanStrength;
use ipnet::IpNet;

/// The bans that are obeyed.
pub(crate) trait BanMap: Send + std::fmt::Debug {
    /// Bans from now on, for so long; for ever with none.
    fn put(
        &mut self,
        net: IpNet,
        time: Option<Duration>,
        strength: BanStrength,
    ) -> Result<(), KernelError>;
    /// Says whether it was banned.
    fn remove(&mut self, net: IpNet) -> Result<bool, KernelError>;
    fn get(&self, net: IpNet) -> Result<Option<KernelBan>, KernelError>;
    fn all(&self) -> Vec<KernelBan>;
    /// Is told of a ban that the kernel has made by itself.
    fn noticed(&mut self, _net: IpNet, _time: Duration, _strength: BanStrength) {}
}

impl BanMap for InboundBans {
    fn put(
        &mut self,
        net: IpNet,
        time: Option<Duration>,
        strength: BanStrength,
    ) -> Result<(), KernelError> {
        Self::put(self, net, time, strength)
    }

    fn remove(&mut self, net: IpNet) -> Result<bool, KernelError> {
        Self::remove(self, net)
    }

    fn get(&self, net: IpNet) -> Result<Option<KernelBan>, KernelError> {
        Self::get(self, net)
    }

    fn all(&self) -> Vec<KernelBan> {
        Self::all(self)
    }
}

/// Who is never banned.
pub(crate) trait NeverMap: Send + std::fmt::Debug {
    fn set(&self, nets: &BTreeSet<IpNet>) -> Result<(), KernelError>;
}

impl NeverMap for InboundNever {
    fn set(&self, nets: &BTreeSet<IpNet>) -> Result<(), KernelError> {
        Self::set(self, nets)
    }
}
