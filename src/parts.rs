//! The shared parts of a process, actors and threads, and the handling of their panics.
//!
//! A panic in a session ends that session only. A panic in a shared part would leave a running process that
//! cannot serve, so it is caught here: it is logged, `/health` names the part from then on, and the program's
//! hook is called ([`Parts::when_one_dies`]). The program then exits; a library must not.

use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{self, Poll},
    thread,
};

use actix::{Actor, Addr, Context};
use actix_web::rt;
use log::error;

/// Called with the name of a dead part.
type Hook = Box<dyn Fn(&str) + Send + Sync>;

/// The shared parts of one process or of one embedded server.
#[derive(Default)]
pub struct Parts {
    dead: Mutex<Vec<String>>,
    hook: OnceLock<Hook>,
    /// Names of parts that panic at their next step.
    #[cfg(feature = "poison")]
    poisoned: Mutex<Vec<String>>,
    #[cfg(feature = "poison")]
    is_any_poisoned: std::sync::atomic::AtomicBool,
}

impl Parts {
    /// Starts a shared actor on this thread.
    pub fn start<A: Actor<Context = Context<A>>>(
        self: &Arc<Self>,
        name: impl Into<String>,
        actor: A,
    ) -> Addr<A> {
        let context = Context::new().into_future(actor);
        let address = context.address();
        rt::spawn(Guarded { parts: Arc::clone(self), name: name.into(), context: Some(context) });
        address
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

    fn died(&self, name: &str, panic: &(dyn Any + Send)) {
        error!("{name} has panicked: {}", message_of(panic));
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
        let step = catch_unwind(AssertUnwindSafe(|| {
            this.parts.panic_if_poisoned(&this.name);
            Pin::new(context).poll(cx)
        }));
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
