/*
 * The first process of a pod: it holds the pod's namespaces and does nothing. With a shared process namespace it is also the
 * parent of every orphan, so it collects the dead.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

int main(void) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGINT);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  /* Blocked, not handled: a signal that arrives between two waits is not lost. */
  if (sigprocmask(SIG_BLOCK, &awaited, NULL) != 0) {
    perror("pause: sigprocmask");
    return 1;
  }
  for (;;) {
    /* Many may have died with one signal, and some before there was anybody to hear it. */
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    int signal_number = sigwaitinfo(&awaited, NULL);
    if (signal_number == SIGINT || signal_number == SIGTERM) return 0;
    if (signal_number == -1 && errno != EINTR) {
      perror("pause: sigwaitinfo");
      return 1;
    }
  }
}
