//! Channels, scopes, and the stance of a subscriber who holds some of them: common to `base` and `store`.

/// A channel of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Channel {
    Sms,
    Call,
}

/// A number's stance toward one sender and category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stance {
    Consented,
    Refused,
    Silent,
}

/// A scope in one of a channel's two sets. Names are Python's integers for senders and categories; 0 is `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The channel.
    pub channel: Channel,
    /// Whether it is among the refusals, else among the consents.
    pub refusal: bool,
    /// The sender.
    pub sender: u32,
    /// The category.
    pub category: u32,
}

impl Scope {
    /// Whether this scope covers another, of whichever set, on the same channel.
    pub fn covers(&self, other: &Self) -> bool {
        self.channel == other.channel
            && (self.sender == 0 || self.sender == other.sender)
            && (self.category == 0 || self.category == other.category)
    }
}

/// A refusal of everything on a channel has the channel as its id: most subscribers who refuse hold that and nothing else.
#[inline]
pub const fn everything(channel: Channel) -> u32 {
    channel as u32
}

/// The ids of the scopes that decide the stance toward one sender and category.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The channel.
    pub channel: Channel,
    /// The consent to both.
    pub consent: u32,
    /// The narrower refusals that cover them; that of everything has its own id.
    pub refusals: [u32; 3],
}

impl Probe {
    /// The stance of a number that holds these scopes and no other on the channel.
    #[inline]
    pub fn stance(&self, held: impl Iterator<Item = u32>, refuses_everything: bool) -> Stance {
        let mut stance = if refuses_everything { Stance::Refused } else { Stance::Silent };
        for scope in held {
            if scope == self.consent {
                return Stance::Consented;
            }
            if self.refusals.contains(&scope) {
                stance = Stance::Refused;
            }
        }
        stance
    }
}

/// The channel of its number.
pub const fn channel_of(channel: u8) -> Channel {
    if channel == 0 { Channel::Sms } else { Channel::Call }
}
