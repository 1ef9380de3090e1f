//! `POST /v1/events`.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use rdkafka::message::{Header, OwnedHeaders};
use schemas::names::header;
use schemas::{Encoding, Limits};
use service::auth::{Auth, Principal, Scope};
use service::http::problem::{BAD_REQUEST, UNAUTHENTICATED, UNAVAILABLE};
use service::http::trace::correlation_id;
use service::http::{Problem, TraceContext};
use service::traces::Tracer;

use crate::answer::Outcomes;
use crate::body::{self, BodyLimits, Budget, Content};
use crate::check::Checker;
use crate::cloud_events::{self, Mapped};
use crate::event_schemas::EventSchemas;
use crate::form::Form;
use crate::items;
use crate::metrics::IngestMetrics;
use crate::outage::{Admission, Outage};
use crate::pending::Pending;
use crate::producer::Producer;
use crate::refusal::{Names, Refusal};
use crate::sends::Sends;

/// After so many events a request lets others have the thread.
const TURN: usize = 256;

/// Memory that an event takes in the answer, in bytes, beside its id.
const ITEM_BYTES: usize = 128;

/// What requests share.
pub(crate) struct Door {
    pub(crate) auth: Auth,
    pub(crate) body_limits: BodyLimits,
    pub(crate) max_events: usize,
    pub(crate) event_limits: Limits,
    pub(crate) schemas: EventSchemas,
    pub(crate) budget: Budget,
    pub(crate) outage: Arc<Outage>,
    /// How events are written, once it is known.
    pub(crate) encoding: OnceLock<Encoding>,
    pub(crate) producer: Producer,
    pub(crate) tracer: Tracer,
    pub(crate) metrics: IngestMetrics,
}

/// Takes the events of a request: checks each, writes it, and answers when the broker has
/// acknowledged all that it will.
pub(crate) async fn post_events(
    State(door): State<Arc<Door>>,
    Extension(trace): Extension<TraceContext>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, mut body) = request.into_parts();
    let headers = &parts.headers;
    let received = match door.auth.authorize(headers, Scope::EventsWrite).await {
        Ok(who) => door.receive(who, headers, &mut body).await,
        Err(problem) => Err(problem),
    };
    match received {
        Ok(received) => door.take(headers, trace, received).await,
        Err(problem) => {
            // Strangers are not heard out.
            if problem.kind() != &UNAUTHENTICATED {
                body::discard(headers, &mut body, door.body_limits).await;
            }
            Err(problem)
        }
    }
}

/// A request that was let in, with its whole body.
struct Received {
    who: Principal,
    admission: Admission,
    encoding: Encoding,
    form: Form,
    content: Content,
}

impl Door {
    async fn receive(
        &self,
        who: Principal,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Received, Problem> {
        Ok(Received {
            who,
            admission: self.outage.admit()?,
            encoding: self.encoding()?,
            form: Form::of(headers)?,
            content: body::read(headers, body, self.body_limits, &self.budget).await?,
        })
    }

    fn encoding(&self) -> Result<Encoding, Problem> {
        // Nobody is let in before.
        self.encoding
            .get()
            .copied()
            .ok_or_else(|| Problem::new(&UNAVAILABLE, "it is not known yet how events are written"))
    }

    async fn take(
        &self,
        headers: &HeaderMap,
        trace: TraceContext,
        received: Received,
    ) -> Result<Response, Problem> {
        let form = received.form;
        let Content { bytes, mut hold } = received.content;
        let items = split(form, &bytes, self.max_events)?;
        self.auth
            .charge(&received.who, items.all().len().saturating_sub(1));
        hold.grow_to(bytes.len() + items.all().len() * ITEM_BYTES)?;
        let mut sending = Sending {
            door: self,
            encoding: received.encoding,
            form,
            headers,
            sends: Sends::begin(&self.tracer, self.producer.topic(), trace),
            pending: Pending::new(),
        };
        let begun = Instant::now();
        let mut outcomes = sending.send_all(items.all()).await;
        let Sending { pending, sends, .. } = sending;
        let is_one = matches!(items, Items::One(_));
        drop(bytes);
        hold.shrink_to(outcomes.bytes());

        let failures = pending.wait().await;
        drop(received.admission);
        self.metrics.produced_in(begun.elapsed());
        sends.end(&failures);
        outcomes.end(failures, &self.metrics);
        let trace_id = trace.trace_id();
        if is_one {
            outcomes.answer_one(&trace_id, hold)
        } else {
            outcomes.answer_all(&trace_id, hold)
        }
    }
}

/// The events of a body.
enum Items<'a> {
    /// The body is an event.
    One([&'a [u8]; 1]),
    /// The body is a list, perhaps of one.
    Several(Vec<&'a [u8]>),
}

impl<'a> Items<'a> {
    fn all(&self) -> &[&'a [u8]] {
        match self {
            Self::One(item) => item,
            Self::Several(items) => items,
        }
    }
}

fn split(form: Form, body: &[u8], max: usize) -> Result<Items<'_>, Problem> {
    let body = body.trim_ascii();
    let items = match form {
        Form::CloudEvents => items::of_array(body, max)?,
        Form::Json if body.starts_with(b"[") => items::of_array(body, max)?,
        Form::Lines => items::of_lines(body, max)?,
        Form::Json | Form::CloudEvent | Form::CloudEventData => return Ok(Items::One([body])),
    };
    if items.is_empty() {
        return Err(Problem::new(&BAD_REQUEST, "the body holds no events"));
    }
    Ok(Items::Several(items))
}

/// A request whose events are being sent.
struct Sending<'r> {
    door: &'r Door,
    encoding: Encoding,
    form: Form,
    headers: &'r HeaderMap,
    sends: Sends<'r>,
    pending: Arc<Pending>,
}

impl Sending<'_> {
    async fn send_all(&mut self, items: &[&[u8]]) -> Outcomes {
        let mut checker = Checker::new(self.door.event_limits, &self.door.schemas);
        let mut outcomes = Outcomes::with_capacity(items.len());
        let headers = self.record_headers(self.sends.context());
        for (at, item) in items.iter().enumerate() {
            if at > 0 && at % TURN == 0 {
                tokio::task::yield_now().await;
            }
            match self.form {
                Form::Json | Form::Lines => {
                    self.send(
                        item,
                        &Names::Event,
                        headers.clone(),
                        &mut checker,
                        &mut outcomes,
                    );
                }
                Form::CloudEvent | Form::CloudEvents => {
                    let mapped = cloud_events::structured(item);
                    self.send_mapped(mapped, &headers, &mut checker, &mut outcomes);
                }
                Form::CloudEventData => {
                    let mapped = cloud_events::binary(self.headers, item);
                    self.send_mapped(mapped, &headers, &mut checker, &mut outcomes);
                }
            }
        }
        outcomes
    }

    fn send_mapped(
        &mut self,
        mapped: Result<Mapped, Refusal>,
        headers: &OwnedHeaders,
        checker: &mut Checker<'_>,
        outcomes: &mut Outcomes,
    ) {
        let names = |customer| match self.form {
            Form::CloudEventData => Names::Headers,
            _ => Names::CloudEvent { customer },
        };
        match mapped {
            Ok(mapped) => {
                let own = mapped.traceparent.as_deref().map(str::as_bytes);
                let headers = match own.and_then(TraceContext::read) {
                    Some(own) => {
                        let context = self.sends.of_its_own(&own, outcomes.next());
                        self.record_headers(context)
                    }
                    None => headers.clone(),
                };
                let names = names(mapped.customer);
                self.send(&mapped.value, &names, headers, checker, outcomes);
            }
            Err(refusal) => outcomes.refused(&refusal, &names("subject")),
        }
    }

    fn send(
        &mut self,
        item: &[u8],
        names: &Names<'_>,
        headers: OwnedHeaders,
        checker: &mut Checker<'_>,
        outcomes: &mut Outcomes,
    ) {
        match checker.check(item) {
            Ok(good) => {
                let ticket = self.pending.ticket(outcomes.next());
                let event = good.event;
                let Door {
                    producer,
                    event_limits,
                    ..
                } = self.door;
                let value = (self.encoding).event_of_json(&good.value, &event, *event_limits);
                producer.send(event.customer_id, &value, headers, ticket);
                self.sends.sent(outcomes.next());
                outcomes.sent(event.event_id, event.event_type);
            }
            Err(refusal) => outcomes.refused(&refusal, names),
        }
    }

    /// The headers of a record: the trace that it belongs to, and upstream's own name for the request.
    fn record_headers(&self, trace: TraceContext) -> OwnedHeaders {
        let traceparent = trace.to_string();
        let headers = OwnedHeaders::new_with_capacity(2).insert(Header {
            key: header::TRACEPARENT,
            value: Some(&traceparent),
        });
        match correlation_id(self.headers) {
            Some(id) => headers.insert(Header {
                key: header::CORRELATION_ID,
                value: Some(id),
            }),
            None => headers,
        }
    }
}
