//! Addresses to listen at.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::trimmed;

/// Connections that wait to be accepted, as the standard library has it.
const BACKLOG: i32 = 128;

/// Where to listen. A port is always named: nobody finds one that is picked at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Every address of the machine, written `:8080`: those of IPv6 where it has them, and those of IPv4.
    Everywhere(u16),
    /// One address; `[::]` takes those of IPv4, too.
    At(SocketAddr),
}

impl Listen {
    /// The port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Everywhere(port) => port,
            Self::At(address) => address.port(),
        }
    }

    /// Whether both can't be listened at.
    #[must_use]
    pub fn collides(self, other: Self) -> bool {
        let address = |listen| match listen {
            Self::At(address) if !address.ip().is_unspecified() => Some(address.ip()),
            _ => None,
        };
        self.port() == other.port()
            && match (address(self), address(other)) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            }
    }

    /// Listens.
    ///
    /// # Errors
    /// The address is taken, not this machine's, or not allowed.
    pub fn bind(self) -> io::Result<TcpListener> {
        match self {
            Self::At(address) => bind(address),
            Self::Everywhere(port) => everywhere(port, bind),
        }
    }
}

/// Over IPv6, which takes IPv4 with it, or over IPv4 alone.
fn everywhere<T>(port: u16, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if is_taken(&error) => Err(error),
        // A kernel without IPv6 says so in several ways.
        Err(_) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
        listener => listener,
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Otherwise it hangs on net.ipv6.bindv6only whether IPv4 is answered.
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = trimmed(text);
        let listen = match text.strip_prefix(':') {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().map(Self::Everywhere).ok(),
            _ => text.parse().map(Self::At).ok(),
        };
        match listen {
            Some(listen) if listen.port() == 0 => {
                Err("port 0 is not allowed: nobody could know which port it became")
            }
            Some(listen) => Ok(listen),
            None => Err("expected an address and a port, such as :8080, 127.0.0.1:8080 or [::]:8080"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it listens on a machine that answers this to an address of IPv6.
    fn listens(over_ipv6: Option<i32>) -> Result<String, Option<i32>> {
        let bind = |address: SocketAddr| match over_ipv6 {
            Some(code) if address.is_ipv6() => Err(io::Error::from_raw_os_error(code)),
            _ => Ok(address.to_string()),
        };
        everywhere(8082, bind).map_err(|error| error.raw_os_error())
    }

    /// The codes are those of Linux: not compiled in (97), switched off by `ipv6.disable=1` (97 or 94) or by
    /// `net.ipv6.conf.all.disable_ipv6` (99); `IPV6_V6ONLY` is not known (92).
    #[test]
    fn without_ipv6_it_listens_over_ipv4_and_a_port_that_is_taken_stays_an_error() {
        assert_eq!(listens(None).as_deref(), Ok("[::]:8082"));
        for code in [92, 94, 97, 99] {
            assert_eq!(listens(Some(code)).as_deref(), Ok("0.0.0.0:8082"), "{code}");
        }
        // In use, not allowed.
        for code in [98, 13] {
            assert_eq!(listens(Some(code)), Err(Some(code)));
        }
        assert!(everywhere(8082, |_| Err::<(), _>(io::Error::from_raw_os_error(97))).is_err());
    }
}
