//! The shared parts of a process, actors and threads, and what becomes of their panics.
//!
//! A panic in a session ends that session only. A shared part runs its steps under a [`Supervisor`]: a panic
//! ends the step, and the part makes anew what the step worked on. A part that panics too often
//! (`--max-restarts`), or outside of its steps, is dead: `/health` names it from then on, and the program's
//! hook is called ([`Parts::when_one_dies`]). The program then exits; a library must not.

use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{self, Poll},
    thread,
    time::Instant,
};

use actix::{
    Actor, Addr, Context,
    dev::channel::{AddressReceiver, channel},
};
use actix_web::rt;
use log::error;

use self::restarts::{PERIOD, Restarts};
pub(crate) use self::supervisor::{Panicked, Supervisor};

mod restarts;
mod supervisor;

/// Called with the name of a dead part.
type Hook = Box<dyn Fn(&str) + Send + Sync>;

/// Messages in a mailbox before `try_send` fails, as actix has it. Messages to shared actors are sent by `do_send`.
pub(crate) const MAILBOX: usize = 16;

/// How often a part may begin again in ten seconds, by default.
pub(crate) const MAX_RESTARTS: usize = 5;

/// The shared parts of one process or of one embedded server.
pub struct Parts {
    max_restarts: usize,
    restarts: Mutex<Restarts>,
    dead: Mutex<Vec<String>>,
    hook: OnceLock<Hook>,
    /// Names of parts that panic at their next step.
    #[cfg(feature = "poison")]
    poisoned: Mutex<Vec<String>>,
    #[cfg(feature = "poison")]
    is_any_poisoned: std::sync::atomic::AtomicBool,
}

impl Default for Parts {
    fn default() -> Self {
        Self::new(MAX_RESTARTS)
    }
}

impl Parts {
    /// No parts yet. Each may begin again `max_restarts` times in ten seconds.
    pub fn new(max_restarts: usize) -> Self {
        Self {
            max_restarts,
            restarts: Mutex::default(),
            dead: Mutex::default(),
            hook: OnceLock::new(),
            #[cfg(feature = "poison")]
            poisoned: Mutex::default(),
            #[cfg(feature = "poison")]
            is_any_poisoned: std::sync::atomic::AtomicBool::default(),
        }
    }

    /// Starts a shared actor on this thread.
    pub fn start<A: Actor<Context = Context<A>>>(
        self: &Arc<Self>,
        name: impl Into<String>,
        actor: A,
    ) -> Addr<A> {
        let (sender, mailbox) = channel(MAILBOX);
        self.start_at(name, mailbox, actor);
        Addr::new(sender)
    }

    /// Starts a shared actor on this thread. Its address was known before, and may have mail.
    pub(crate) fn start_at<A: Actor<Context = Context<A>>>(
        self: &Arc<Self>,
        name: impl Into<String>,
        mailbox: AddressReceiver<A>,
        actor: A,
    ) {
        let context = Context::with_receiver(mailbox).into_future(actor);
        rt::spawn(Guarded { parts: Arc::clone(self), name: name.into(), context: Some(context) });
    }

    /// Starts a shared thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let parts = Arc::clone(self);
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                parts.died(name, &*panic);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(guarded).map(drop)
    }

    /// Sets the hook for dead parts, and calls it for those already dead. A second call does not replace the
    /// hook.
    pub fn when_one_dies(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        let hook = self.hook.get_or_init(|| Box::new(hook));
        self.dead().iter().for_each(|name| hook(name));
    }

    /// The names of the dead parts.
    pub fn dead(&self) -> Vec<String> {
        lock(&self.dead).clone()
    }

    /// A step of a part has panicked.
    fn panicked(&self, name: &str, panic: &(dyn Any + Send)) -> Panicked {
        if lock(&self.restarts).may_begin_again(name, self.max_restarts, Instant::now()) {
            error!("{name} has panicked and begins again: {}", message_of(panic));
            return Panicked::BeginAgain;
        }
        error!(
            "{name} has panicked: {}; it has begun again {} times in {} seconds, as often as it may (--max-restarts)",
            message_of(panic),
            self.max_restarts,
            PERIOD.as_secs()
        );
        self.note_dead(name);
        Panicked::TooOften
    }

    /// The parts that have begun again, and how often.
    pub fn restarts(&self) -> Vec<(String, u64)> {
        lock(&self.restarts).totals()
    }

    fn died(&self, name: &str, panic: &(dyn Any + Send)) {
        error!("{name} has panicked: {}", message_of(panic));
        self.note_dead(name);
    }

    fn note_dead(&self, name: &str) {
        lock(&self.dead).push(name.to_owned());
        if let Some(hook) = self.hook.get() {
            hook(name);
        }
    }

    /// Makes a part panic at its next step, for tests.
    #[cfg(feature = "poison")]
    pub fn poison(&self, name: &str) {
        lock(&self.poisoned).push(name.to_owned());
        self.is_any_poisoned.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// Panics if the part of this name was poisoned. Without the feature `poison` this does nothing.
    pub fn panic_if_poisoned(&self, name: &str) {
        #[cfg(feature = "poison")]
        if self.is_any_poisoned.load(std::sync::atomic::Ordering::Relaxed) {
            let place = lock(&self.poisoned).iter().position(|poisoned| poisoned == name);
            if let Some(place) = place {
                lock(&self.poisoned).remove(place);
                panic!("{name} was poisoned");
            }
        }
        #[cfg(not(feature = "poison"))]
        let _ = (self, name);
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("dead", &self.dead()).finish_non_exhaustive()
    }
}

/// A shared actor whose panics are caught.
struct Guarded<A: Actor<Context = Context<A>>> {
    parts: Arc<Parts>,
    name: String,
    /// `None` once the actor has panicked.
    context: Option<actix::dev::ContextFut<A, Context<A>>>,
}

impl<A: Actor<Context = Context<A>>> Unpin for Guarded<A> {}

impl<A: Actor<Context = Context<A>>> Future for Guarded<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(context) = &mut this.context else {
            return Poll::Ready(());
        };
        let step = catch_unwind(AssertUnwindSafe(|| Pin::new(context).poll(cx)));
        match step {
            Ok(poll) => poll,
            Err(panic) => {
                this.parts.died(&this.name, &*panic);
                // Dropping the broken state may panic again, which adds no information.
                let _ = catch_unwind(AssertUnwindSafe(|| this.context = None));
                Poll::Ready(())
            }
        }
    }
}

/// The message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::{Handler, Message};

    use super::*;

    struct Fragile;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;

    impl Handler<Break> for Fragile {
        type Result = ();

        fn handle(&mut self, _: Break, _: &mut Context<Self>) {
            panic!("as it was told");
        }
    }

    #[actix_web::test]
    async fn the_panic_of_a_shared_actor_is_told_once_and_its_mailbox_is_closed() {
        let parts = Arc::<Parts>::default();
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        let actor = parts.start("the fragile actor", Fragile);
        assert!(actor.send(Break).await.is_err());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["the fragile actor"]);
        assert_eq!(parts.dead(), ["the fragile actor"]);
        assert!(!actor.connected());
    }

    #[test]
    fn a_panic_ends_a_step_and_too_many_end_the_part() {
        let parts = Arc::new(Parts::new(2));
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        let supervisor = Supervisor::new(&parts, "a part");
        let fail = || supervisor.attempt(|| panic!("as it was told"));
        assert_eq!(supervisor.attempt(|| 7), Ok(7));
        assert_eq!([fail(), fail()], [Err::<(), _>(Panicked::BeginAgain); 2]);
        assert_eq!(supervisor.attempt(|| 8), Ok(8));
        assert!(parts.dead().is_empty());
        assert_eq!(fail(), Err(Panicked::TooOften));
        assert_eq!((heard.try_iter().count(), parts.dead()), (1, vec!["a part".to_owned()]));
        assert_eq!(parts.restarts(), [("a part".to_owned(), 2)]);
    }

    #[test]
    fn the_panic_of_a_shared_thread_is_told_also_to_a_hook_that_comes_later() {
        let parts = Arc::<Parts>::default();
        let (ended, end) = mpsc::channel::<()>();
        parts
            .spawn("the fragile thread", move || {
                let _ended = ended;
                panic!("as it was told");
            })
            .expect("a thread");
        end.recv().expect_err("it panics");
        while parts.dead().is_empty() {
            thread::yield_now();
        }
        let (told, heard) = mpsc::channel();
        parts.when_one_dies(move |name| told.send(name.to_owned()).expect("the test listens"));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["the fragile thread"]);
    }
}
