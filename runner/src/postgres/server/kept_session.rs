//! A session with a scratch server that is kept for several restores: to begin one takes the server longer than what is asked
//! in it.
//!
//! Code that a restore runs as superuser may end the session, and may answer as much and as slowly as it likes, which a session
//! limits. So it is replaced after some uses, and whenever it has failed. What it answers is trusted as little as the answers in
//! a new one.

/// How many times a session is used: that takes a fraction of the bytes that it may receive, and of the time that it may last.
const USES: u32 = 50;

/// The session, if there is one.
#[derive(Debug)]
pub struct KeptSession<S> {
    session: Option<S>,
    uses: u32,
}

impl<S> Default for KeptSession<S> {
    fn default() -> Self {
        Self { session: None, uses: 0 }
    }
}

impl<S> KeptSession<S> {
    /// What `ask` answers in the session, or in a new one if that has failed.
    pub async fn ask<T, E>(
        &mut self,
        connect: &impl AsyncFn() -> Result<S, E>,
        mut ask: impl AsyncFnMut(&S) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(kept) = self.session.take().filter(|_| self.uses < USES) {
            let answer = ask(&kept).await;
            if answer.is_ok() {
                self.uses += 1;
                self.session = Some(kept);
                return answer;
            }
        }
        let session = connect().await?;
        let answer = ask(&session).await?;
        self.uses = 1;
        self.session = Some(session);
        Ok(answer)
    }

    /// Ends the session, as its database will be dropped.
    pub fn end(&mut self) {
        self.session = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Asks sessions that are numbers; those in `failed` fail. Returns which one has answered.
    async fn ask(kept: &mut KeptSession<u32>, begun: &Cell<u32>, failed: &[u32]) -> Result<u32, u32> {
        let connect = async || {
            begun.set(begun.get() + 1);
            Ok::<_, u32>(begun.get())
        };
        kept.ask(
            &connect,
            async |session| if failed.contains(session) { Err(*session) } else { Ok(*session) },
        )
        .await
    }

    #[tokio::test]
    async fn session_is_kept_for_some_uses() {
        let (mut kept, begun) = (KeptSession::default(), Cell::new(0));
        for _ in 0..USES {
            assert_eq!(ask(&mut kept, &begun, &[]).await, Ok(1));
        }
        assert_eq!(ask(&mut kept, &begun, &[]).await, Ok(2));
        kept.end();
        assert_eq!(ask(&mut kept, &begun, &[]).await, Ok(3));
    }

    #[tokio::test]
    async fn session_that_fails_is_replaced_once() {
        let (mut kept, begun) = (KeptSession::default(), Cell::new(0));
        assert_eq!(ask(&mut kept, &begun, &[]).await, Ok(1));
        assert_eq!(ask(&mut kept, &begun, &[1]).await, Ok(2));
        assert_eq!(ask(&mut kept, &begun, &[2, 3]).await, Err(3));
        assert_eq!(ask(&mut kept, &begun, &[]).await, Ok(4));
    }
}
