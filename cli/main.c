/* SPDX-License-Identifier: MIT */
/* Start, signals, dispatch. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static uint32_t cancel;                    /* the library's waits end when it is set */
static volatile sig_atomic_t guarded = -1; /* what takes the place of standard input */
static volatile sig_atomic_t child;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	/* What the terminal sends reaches the command by itself. */
	if (child > 0 && info->si_code != SI_KERNEL)
		kill(child, sig);
	__atomic_store_n(&cancel, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &cancel, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	/* A read that has not begun yet finds the end of file; one that has gets EINTR. */
	if (guarded >= 0)
		dup2(guarded, STDIN_FILENO);
	errno = saved;
}

bool cli_interrupted(void)
{
	return __atomic_load_n(&cancel, __ATOMIC_RELAXED) != 0;
}

void cli_guard_stdin(void)
{
	if (guarded < 0)
		guarded = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void cli_forward_signals(int pid)
{
	child = pid;
}

int cli_sleep(struct cli *c, int64_t ns)
{
	struct timespec now, ts;
	int64_t end;

	if (cli_flush_status(c))
		return CLI_CLOSED;
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	end = ns > INT64_MAX - end ? INT64_MAX : end + ns;
	ts.tv_sec = end / 1000000000;
	ts.tv_nsec = end % 1000000000;
	/* Sleeps on the cancel word: a signal that comes just before is not lost. */
	while (!cli_interrupted()) {
		if (syscall(SYS_futex, &cancel, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL,
			    FUTEX_BITSET_MATCH_ANY) < 0 &&
		    errno == ETIMEDOUT)
			return 0;
	}
	return CLI_INTERRUPTED;
}

static void set_up(void)
{
	struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigaction old;
	int fd;

	/* A segment must never be opened as standard output, whoever closed that. */
	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(CLI_BUG);
	sigemptyset(&act.sa_mask);
	/* As a background job of sh, or under nohup, an ignored signal stays ignored. */
	if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &act, NULL);
	if (sigaction(SIGTERM, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGTERM, &act, NULL);
	act.sa_flags = 0;
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	ipk_segment_guard();
	ipk_thread_cancel_word(&cancel);
	cli_out_init();
}

static int no_verb(struct cli *c)
{
	if (c->opt.quiet)
		return CLI_USAGE;
	return cli_usage(c, "ipcctl [OPTIONS] VERB REF [ARGS]; see: ipcctl help");
}

static int unknown_verb(struct cli *c)
{
	const struct cli_command *cmd;
	struct cli_suggest s;
	char text[96];
	int k;

	if (ipk_kind_by_name(c->verb))
		return cli_usage(c, "a kind and no verb; see: ipcctl help %s", c->verb);
	cli_suggest_init(&s, c->verb);
	for (cmd = cli_commands; cmd->name; cmd++)
		if (!cmd->hidden)
			cli_suggest_try(&s, cmd->name);
	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kinds[k]->ops;

		for (; op && op->name; op++)
			cli_suggest_try(&s, op->name);
	}
	return cli_usage(c, "no such verb%s",
			 *cli_suggest_text(&s, text) ? text : "; see: ipcctl help");
}

/* IPK_FAULT, a test aid: every command fails as if it had met a bug, or the error that is named. */
static int fault(struct cli *c, const char *name)
{
	int code;

	for (code = 1; code < 200; code++)
		if (strerrorname_np(code) && !strcmp(strerrorname_np(code), name))
			return cli_fail(c, cli_exit_of(-code), -code, "%s (IPK_FAULT)",
					ipk_strerror(-code));
	return cli_fail(c, CLI_BUG, -EFAULT, "internal error (IPK_FAULT)");
}

static int dispatch(struct cli *c)
{
	if (c->nwords < c->cmd->min)
		return cli_usage(c, "usage: ipcctl %s %s", c->verb, c->cmd->args);
	if (c->cmd->max >= 0 && c->nwords > c->cmd->max)
		return cli_usage(c, "one word too many: \"%s\"; usage: ipcctl %s%s%s",
				 c->word[c->cmd->max], c->verb, *c->cmd->args ? " " : "",
				 c->cmd->args);
	if (c->tail && !c->cmd->tail)
		return cli_usage(c, "takes no command");
	return c->cmd->exec(c);
}

int cli_run(int argc, char **argv, const struct cli *parent, const char *where)
{
	struct cli c = {.out = &cli_stdout, .where = where};
	int r;

	c.opt.timeout = -1;
	if (parent) {
		c.opt = parent->opt;
		c.stdin_taken = parent->stdin_taken;
	}
	r = cli_parse(&c, argc, argv);
	if (r >= 0)
		goto out;
	if (!c.verb) {
		r = no_verb(&c);
	} else if (!c.cmd) {
		r = unknown_verb(&c);
	} else if (getenv("IPK_FAULT") && *getenv("IPK_FAULT")) {
		r = fault(&c, getenv("IPK_FAULT"));
	} else {
		r = dispatch(&c);
	}
out:
	if (cli_flush_status(&c) && r == 0)
		r = cli_flush_status(&c);
	free(c.given);
	free(c.word);
	return r;
}

int main(int argc, char **argv)
{
	set_up();
	return cli_run(argc, argv, NULL, NULL);
}
