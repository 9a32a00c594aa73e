//! From Python's tuples to the core's structs.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use wurao_core::decision::Template;
use wurao_core::engine::CompiledRoute;
use wurao_core::numbering::{Patterns, Side};
use wurao_core::prefixes::Prefixes;
use wurao_core::program::{Answer, CompiledProgram, Measure, Measures, Row};
use wurao_core::stance::{Channel, Probe};
use wurao_core::terms::Terms;
use wurao_core::text::{Identity, Reading, Tables};
use wurao_core::world::{Campaign, Holding, Sender, World};

#[derive(FromPyObject)]
pub struct SetupParts {
    pub partitions: u32,
    pub codec: String,
    pub level: i32,
    pub batch_bytes_max: usize,
    pub numbers: PatternParts,
}

#[derive(FromPyObject)]
pub struct PatternParts {
    help: String,
    redress: Vec<String>,
    short: String,
    subscriber: String,
    country: String,
    mobile: String,
    fixed: String,
    port: String,
}

impl From<PatternParts> for Patterns {
    fn from(parts: PatternParts) -> Self {
        let PatternParts { help, redress, short, subscriber, country, mobile, fixed, port } = parts;
        Self { help, redress, short, subscriber, country, mobile, fixed, port }
    }
}

#[derive(FromPyObject)]
pub struct SenderParts {
    revoked: bool,
    names: Vec<String>,
    contacts: Vec<String>,
}

#[derive(FromPyObject)]
pub struct CampaignParts {
    campaign: String,
    approved: bool,
    emergency: bool,
    from_: i64,
    until: i64,
    sender: Option<u32>,
    prefixes: Vec<String>,
    regions: Vec<String>,
    text: String,
}

#[derive(FromPyObject)]
pub struct WorldParts {
    prefixes: Vec<(u8, String, u32, bool)>,
    ordered: Vec<(u8, String)>,
    senders: Vec<SenderParts>,
    campaigns: Vec<CampaignParts>,
    terms: Vec<String>,
}

pub fn world_of(parts: WorldParts, tables: &Tables) -> Result<World, String> {
    let mut prefixes = [Prefixes::default(), Prefixes::default()];
    let mut holdings = Vec::with_capacity(parts.prefixes.len());
    for (holding, (channel, prefix, sender, protects)) in (0..).zip(&parts.prefixes) {
        prefixes[usize::from(*channel)].add(prefix.as_bytes(), holding);
        holdings.push(Holding { sender: *sender, protects: *protects });
    }
    let ordered = |side: Side| {
        let numbers = parts.ordered.iter().zip(0..).filter(|((of, _), _)| *of == side as u8);
        numbers.map(|((_, number), place)| (number.as_bytes().into(), place)).collect()
    };
    let ordered = [ordered(Side::Sms), ordered(Side::Call), ordered(Side::Internet)];
    let mut reading = Reading::default();
    let campaigns = parts.campaigns.into_iter().map(|campaign| {
        let letters = reading.read(tables, campaign.text.as_bytes()).then(|| reading.letters().into());
        let name = campaign.campaign.into_bytes().into_boxed_slice();
        (
            name,
            Campaign {
                approved: campaign.approved,
                emergency: campaign.emergency,
                from: campaign.from_,
                until: campaign.until,
                sender: campaign.sender,
                prefixes: boxed(campaign.prefixes),
                regions: boxed(campaign.regions),
                text: campaign.text.into_bytes().into(),
                letters,
            },
        )
    });
    Ok(World {
        prefixes,
        holdings,
        campaigns: campaigns.collect(),
        ordered,
        senders: parts
            .senders
            .into_iter()
            .map(|sender| Sender { revoked: sender.revoked, identity: Identity::new(&sender.names, sender.contacts) })
            .collect(),
        terms: Terms::new(&parts.terms).map_err(|error| format!("the word lists: {error}"))?,
    })
}

fn boxed(texts: Vec<String>) -> Vec<Box<[u8]>> {
    texts.into_iter().map(|text| text.into_bytes().into()).collect()
}

type RowParts = (u16, u16, i32);
type MeasureParts = (i64, i64, u32);

#[derive(FromPyObject)]
pub struct BelowParts {
    channel: u8,
    consent: u32,
    refusals: [u32; 3],
    consented: Vec<RowParts>,
    refused: Vec<RowParts>,
    silent: Vec<RowParts>,
}

#[derive(FromPyObject)]
pub struct ProgramParts {
    above: Vec<RowParts>,
    below: Option<BelowParts>,
    suspensions: Vec<MeasureParts>,
    stops: Vec<MeasureParts>,
    hours: Option<u32>,
    name: u32,
    sender: Option<u32>,
    owner: Option<u32>,
}

#[derive(FromPyObject)]
pub struct RouteParts {
    program: ProgramParts,
    templates: Vec<(Vec<u8>, Vec<u8>, bool, bool)>,
    names: Vec<Vec<u8>>,
    quiet: Vec<bool>,
}

fn rows_of(rows: Vec<RowParts>) -> Vec<Row> {
    rows.into_iter()
        .map(|(needs, forbids, answer)| Row {
            needs,
            forbids,
            answer: match answer {
                -1 => Answer::Suspension,
                -2 => Answer::Stop,
                template => u32::try_from(template).map_or(Answer::Fallback, Answer::Template),
            },
        })
        .collect()
}

fn measures_of(measures: Vec<MeasureParts>) -> Vec<Measure> {
    measures.into_iter().map(|(from, until, template)| Measure { from, until, template }).collect()
}

pub fn route_of(parts: RouteParts) -> CompiledRoute {
    let program = parts.program;
    CompiledRoute {
        program: CompiledProgram {
            above: rows_of(program.above),
            below: program.below.map(|below| {
                let channel = if below.channel == 0 { Channel::Sms } else { Channel::Call };
                let probe = Probe { channel, consent: below.consent, refusals: below.refusals };
                (probe, [rows_of(below.consented), rows_of(below.refused), rows_of(below.silent)])
            }),
            measures: Measures { suspensions: measures_of(program.suspensions), stops: measures_of(program.stops) },
            name: program.name,
            hours: program.hours,
            sender: program.sender,
            owner: program.owner,
        },
        templates: parts
            .templates
            .into_iter()
            .map(|(middle, tail, service, claim)| Template { middle: middle.into(), tail: tail.into(), service, claim })
            .collect(),
        names: parts.names.into_iter().map(Vec::into_boxed_slice).collect(),
        quiet: parts.quiet,
    }
}

/// A column as the bytes that numpy takes: the machine's own order.
pub fn bytes_of<'py, T: bytemuck::NoUninit>(py: Python<'py>, column: &[T]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, bytemuck::cast_slice(column))
}
