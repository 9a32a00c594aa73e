//! The routes that traffic has taken, and what was compiled for each.
//!
//! Bulk traffic runs through thousands of routes, which do not stay in the processor's first cache: so a route is
//! prefetched first, and looked up when it is needed.

use crate::prefetch::{LINE_BYTES, prefetch};
use crate::program::{CompiledProgram, Index, Measures, Program, RouteKind, Row};
use crate::short::same;
use crate::stance::{Channel, Probe, Stance};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::hash::{BuildHasher, Hasher};

/// Routes kept. Beyond, events on new routes fall back to Python, and all routes are dropped before the next batch: traffic
/// over ever new routes cannot fill the memory.
const ROUTES_MAX: usize = 65_536;
/// Bytes of long names kept: a stranger may name a thousand senders a second, and Python holds each name as well.
const LONG_NAMES_MAX: usize = 4 << 20;

/// The place of no rows and of no measures.
const NOTHING: u32 = 0;

/// What tells a route from every other: its kind, and the sender and category that are stated.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    kinds: u32,
    holding: u32,
    ordered: u32,
    sender: &'a [u8],
    category: &'a [u8],
}

impl<'a> Key<'a> {
    /// The key of a kind and what is stated.
    #[inline]
    pub fn new(kind: &RouteKind, sender: &'a [u8], category: &'a [u8]) -> Self {
        let kinds = kind.kind as u32
            | (kind.from_kind as u32) << 2
            | (kind.to_kind as u32) << 6
            | (kind.purpose as u32) << 10
            | u32::from(kind.platform) << 14
            | u32::from(kind.internet) << 15;
        // Neither is ever so large: each counts what stands in a registry.
        let (holding, ordered) = (kind.holding.unwrap_or(u32::MAX), kind.ordered.unwrap_or(u32::MAX));
        Self { kinds, holding, ordered, sender, category }
    }
}

/// A route, with what tells it from others: two lines of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
struct Route {
    kinds: u32,
    holding: u32,
    ordered: u32,
    sender_bytes: u32,
    category_bytes: u32,
    /// Sender and category, one after the other, where they have room here; else they stand among the long names.
    names: [u8; NAMES_BYTES],
    long_names_at: u32,
    program: Program,
    /// The templates that were last answered with here, each with the number of that outcome.
    numbers: [(u32, u32); 2],
}

const NAMES_BYTES: usize = 32;
const _: () = assert!(size_of::<Route>() == 2 * LINE_BYTES);

const NO_NUMBER: (u32, u32) = (u32::MAX, 0);

/// The routes that traffic has taken.
#[derive(Debug)]
pub struct Routes {
    hashing: DefaultHashBuilder,
    /// The places of routes, by their hashes.
    places: HashTable<u32>,
    routes: Vec<Route>,
    long_names: Vec<u8>,
    /// Rows are mostly the same from route to route: each is kept once.
    rows: Vec<Box<[Row]>>,
    places_of_rows: HashMap<Box<[Row]>, u32>,
    measures: Vec<Measures>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            hashing: DefaultHashBuilder::default(),
            places: HashTable::new(),
            routes: Vec::new(),
            long_names: Vec::new(),
            rows: vec![Box::default()],
            places_of_rows: HashMap::new(),
            measures: vec![Measures::default()],
        }
    }
}

impl Routes {
    /// Hashes a key.
    #[inline]
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write_u64(u64::from(key.kinds) << 32 | u64::from(key.holding));
        hasher.write_u64(u64::from(key.ordered) << 32 | key.sender.len() as u64);
        hasher.write(key.sender);
        hasher.write(key.category);
        hasher.finish()
    }

    /// Prefetches what is probably the route with this hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(place) = self.places.find(hash, |_| true) {
            prefetch(&self.routes, *place as usize);
        }
    }

    /// The place of a route.
    #[inline]
    pub fn find(&self, key: &Key<'_>, hash: u64) -> Option<u32> {
        self.places.find(hash, |place| self.is_of(&self.routes[*place as usize], key)).copied()
    }

    #[inline]
    fn is_of(&self, route: &Route, key: &Key<'_>) -> bool {
        let other = self.key_of(route);
        (other.kinds, other.holding, other.ordered) == (key.kinds, key.holding, key.ordered)
            && same(other.sender, key.sender)
            && same(other.category, key.category)
    }

    #[inline]
    fn key_of<'a>(&'a self, route: &'a Route) -> Key<'a> {
        let &Route { kinds, holding, ordered, .. } = route;
        let (sender_bytes, category_bytes) = (route.sender_bytes as usize, route.category_bytes as usize);
        let names = if sender_bytes + category_bytes <= NAMES_BYTES {
            &route.names[..]
        } else {
            &self.long_names[route.long_names_at as usize..]
        };
        let (sender, rest) = names.split_at(sender_bytes);
        Key { kinds, holding, ordered, sender, category: &rest[..category_bytes] }
    }

    /// What was made of the route at a place.
    #[inline]
    pub fn program(&self, place: u32) -> &Program {
        &self.routes[place as usize].program
    }

    /// The number of the outcome that a template had on a route, if it is one of the last two there.
    #[inline]
    pub fn number_of(&self, place: u32, template: u32) -> Option<u32> {
        let numbers = &self.routes[place as usize].numbers;
        numbers.iter().find(|number| number.0 == template).map(|number| number.1)
    }

    /// Keeps the number of the outcome that a template has on a route.
    pub fn keep_number(&mut self, place: u32, template: u32, number: u32) {
        let numbers = &mut self.routes[place as usize].numbers;
        *numbers = [(template, number), numbers[0]];
    }

    /// Keeps what was made of a route that is not there yet; its place.
    pub fn keep(&mut self, key: &Key<'_>, hash: u64, made: CompiledProgram) -> u32 {
        let none = Probe { channel: Channel::Sms, consent: u32::MAX, refusals: [u32::MAX; 3] };
        let (probe, below) = match made.below {
            Some((probe, rows)) => (probe, rows.map(|rows| self.place_of(rows))),
            None => (none, [NOTHING; 3]),
        };
        let measures = if made.measures.suspensions.is_empty() && made.measures.stops.is_empty() {
            NOTHING
        } else {
            self.measures.push(made.measures);
            self.measures.len() as u32 - 1
        };
        let program = Program {
            above: self.place_of(made.above),
            below,
            probe,
            measures,
            hours: made.hours.and_then(Index::new),
            name: made.name,
            sender: made.sender.and_then(Index::new),
            owner: made.owner.and_then(Index::new),
        };
        let mut names = [0; NAMES_BYTES];
        let stated = [key.sender, key.category].concat();
        let long_names_at = u32::try_from(self.long_names.len()).expect("`is_full` is far below, a name too");
        match names.get_mut(..stated.len()) {
            Some(room) => room.copy_from_slice(&stated),
            None => self.long_names.extend_from_slice(&stated),
        }
        self.routes.push(Route {
            kinds: key.kinds,
            holding: key.holding,
            ordered: key.ordered,
            sender_bytes: key.sender.len() as u32,
            category_bytes: key.category.len() as u32,
            names,
            long_names_at,
            program,
            numbers: [NO_NUMBER; 2],
        });
        let place = self.routes.len() as u32 - 1;
        let mut places = std::mem::take(&mut self.places);
        places.insert_unique(hash, place, |place| self.hash(&self.key_of(&self.routes[*place as usize])));
        self.places = places;
        place
    }

    fn place_of(&mut self, rows: Vec<Row>) -> u32 {
        if rows.is_empty() {
            return NOTHING;
        }
        let rows: Box<[Row]> = rows.into();
        *self.places_of_rows.entry(rows).or_insert_with_key(|rows| {
            self.rows.push(rows.clone());
            self.rows.len() as u32 - 1
        })
    }

    /// The rows at a place.
    #[inline]
    pub fn rows(&self, place: u32) -> &[Row] {
        &self.rows[place as usize]
    }

    /// The rows below for a stance.
    #[inline]
    pub fn rows_for(&self, program: &Program, stance: Stance) -> &[Row] {
        self.rows(program.below[stance as usize])
    }

    /// The orders of a program.
    #[inline]
    pub fn measures(&self, program: &Program) -> &Measures {
        &self.measures[program.measures as usize]
    }

    /// Whether no more should be kept.
    pub fn is_full(&self) -> bool {
        self.routes.len() >= ROUTES_MAX || self.long_names.len() >= LONG_NAMES_MAX
    }

    /// Drops all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, Purpose};
    use crate::numbering::{FromKind, ToKind};

    const KIND: RouteKind = RouteKind {
        kind: Kind::Sms,
        from_kind: FromKind::Port,
        to_kind: ToKind::Person,
        purpose: Purpose::Commercial,
        platform: false,
        internet: false,
        holding: None,
        ordered: None,
    };

    fn made(name: u32) -> CompiledProgram {
        CompiledProgram {
            above: Vec::new(),
            below: None,
            measures: Measures::default(),
            hours: None,
            name,
            sender: None,
            owner: None,
        }
    }

    #[test]
    fn routes_are_found_by_all_that_tells_them_apart_however_long_their_names_are() {
        let mut routes = Routes::default();
        let mut keys = Vec::new();
        for length in [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 100] {
            let name = "s".repeat(length);
            keys.extend([(KIND, name.clone(), String::new()), (KIND, name.clone(), "finance".into())]);
            keys.extend([
                (KIND, String::new(), format!("{name}t")),
                (RouteKind { holding: Some(7), ..KIND }, name.clone(), "x".into()),
                (RouteKind { internet: true, ..KIND }, name, "x".into()),
            ]);
        }
        for (place, (kind, sender, category)) in keys.iter().enumerate() {
            let key = Key::new(kind, sender.as_bytes(), category.as_bytes());
            let hash = routes.hash(&key);
            assert_eq!(routes.find(&key, hash), None);
            assert_eq!(routes.keep(&key, hash, made(place as u32)), place as u32);
        }
        for (place, (kind, sender, category)) in keys.iter().enumerate() {
            let key = Key::new(kind, sender.as_bytes(), category.as_bytes());
            let found = routes.find(&key, routes.hash(&key)).expect("it was kept");
            assert_eq!(routes.program(found).name, place as u32, "{sender} {category}");
        }
    }

    #[test]
    fn long_names_fill_it_before_they_fill_the_memory() {
        let mut routes = Routes::default();
        let mut kept = 0;
        while !routes.is_full() {
            let sender = format!("{kept}{}", "s".repeat(1_000_000));
            let key = Key::new(&KIND, sender.as_bytes(), b"");
            routes.keep(&key, routes.hash(&key), made(0));
            kept += 1;
        }
        assert!(kept < 6);
    }
}
