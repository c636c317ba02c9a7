#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ioloop/connector.h"
#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"

/* An address is a letter: a and b are of the first family, c and d of the other. */

struct trial {
    struct connector connector;
    struct ioloop *loop;
    double clock;
    char story[64]; /* +a: tried, -a: abandoned */
    char trying[2];
    const char *fail_at_once;
    bool done;
    int error;
    char winner;
};

static struct trial *trial_of(struct connector *connector)
{
    return (struct trial *)connector;
}

static void tell(struct trial *trial, char what, char address)
{
    size_t length = strlen(trial->story);

    assert_true(length + 2 < sizeof trial->story);
    trial->story[length] = what;
    trial->story[length + 1] = address;
}

static int try_address(struct connector *connector, int side, const struct resolver_address *address)
{
    struct trial *trial = trial_of(connector);
    char letter = (char)netutil_port((const struct sockaddr *)&address->address);

    assert_false(trial->done);
    assert_int_equal(trial->trying[side], 0);
    tell(trial, '+', letter);
    if (trial->fail_at_once != NULL && strchr(trial->fail_at_once, letter) != NULL)
        return -ENETUNREACH;
    trial->trying[side] = letter;
    return 0;
}

static void abandon_address(struct connector *connector, int side)
{
    struct trial *trial = trial_of(connector);

    assert_int_not_equal(trial->trying[side], 0);
    tell(trial, '-', trial->trying[side]);
    trial->trying[side] = 0;
}

static void end_trial(struct connector *connector, int error, int side)
{
    struct trial *trial = trial_of(connector);

    assert_false(trial->done);
    trial->done = true;
    trial->error = error;
    trial->winner = error == 0 ? trial->trying[side] : 0;
}

static const struct connector_functions trying = { try_address, abandon_address, end_trial };

static struct resolver_address address_of(char letter)
{
    struct resolver_address result = { .length = sizeof(struct sockaddr_in) };
    struct sockaddr_in *address = (struct sockaddr_in *)&result.address;

    address->sin_family = letter < 'c' ? AF_INET : AF_INET6;
    address->sin_port = htons((uint16_t)letter);
    return result;
}

static void prepare_trial(struct trial *trial, const char *letters)
{
    struct resolver_address addresses[8];
    size_t count = strlen(letters);

    *trial = (struct trial){ .clock = 100 };
    trial->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &trial->clock });
    for (size_t i = 0; i < count; i++)
        addresses[i] = address_of(letters[i]);
    assert_int_equal(connector_init(&trial->connector, trial->loop, &trying, addresses, count), 0);
}

/* With Happy Eyeballs' delay of 0.3 s; deadline: how many seconds from now. */
static void begin_trial_with(struct trial *trial, const char *letters, double deadline)
{
    prepare_trial(trial, letters);
    connector_start(&trial->connector, 0.3, trial->clock + deadline);
}

static void begin_trial(struct trial *trial, const char *letters)
{
    begin_trial_with(trial, letters, 1000);
}

static void end_of(struct trial *trial)
{
    connector_free(&trial->connector);
    ioloop_close(trial->loop, false);
}

static void settle(struct trial *trial, char letter, int error)
{
    int side = trial->trying[1] == letter;

    assert_int_equal(trial->trying[side], letter);
    if (error < 0)
        trial->trying[side] = 0;
    connector_tell(&trial->connector, side, error);
}

static void pass(struct trial *trial, double seconds)
{
    trial->clock += seconds;
    testing_spin(trial->loop, 3);
}

static void assert_won(struct trial *trial, char letter, const char *story)
{
    assert_true(trial->done);
    assert_int_equal(trial->error, 0);
    assert_int_equal(trial->winner, letter);
    assert_string_equal(trial->story, story);
    pass(trial, 2000);
    assert_string_equal(trial->story, story); /* nothing is started any more */
}

static void assert_failed(struct trial *trial, int error, const char *story)
{
    assert_true(trial->done);
    assert_int_equal(trial->error, error);
    assert_string_equal(trial->story, story);
    pass(trial, 2000);
    assert_string_equal(trial->story, story);
}

static void assert_split(const char *letters, const char *expected, size_t first)
{
    struct trial trial;

    prepare_trial(&trial, letters);
    assert_int_equal(trial.connector.sides[0].end, first);
    assert_int_equal(trial.connector.sides[1].next, first);
    assert_int_equal(trial.connector.sides[1].end, strlen(expected));
    for (size_t i = 0; i < strlen(expected); i++)
        assert_int_equal(netutil_port((struct sockaddr *)&trial.connector.addresses[i].address), expected[i]);
    end_of(&trial);
}

/* tcpclient_test:test_one_family */
static void splits_addresses_of_one_family(void **state)
{
    assert_split("a", "a", 1);
    assert_split("ab", "ab", 2);
    assert_split("dc", "dc", 2);
}

/* tcpclient_test:test_mixed */
static void splits_addresses_by_the_family_of_the_first(void **state)
{
    assert_split("acbd", "abcd", 2);
    assert_split("dacb", "dcab", 2);
}

/* tcpclient_test:test_immediate_success */
static void takes_the_first_address_that_connects(void **state)
{
    struct trial trial;

    begin_trial(&trial, "ab");
    assert_string_equal(trial.story, "+a");
    settle(&trial, 'a', 0);
    assert_won(&trial, 'a', "+a");
    end_of(&trial);
}

/* tcpclient_test:test_immediate_failure */
static void fails_when_the_only_address_does(void **state)
{
    struct trial trial;

    begin_trial(&trial, "a");
    settle(&trial, 'a', -ECONNREFUSED);
    assert_failed(&trial, -ECONNREFUSED, "+a");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_second_try */
static void goes_on_to_the_next_address_after_a_failure(void **state)
{
    struct trial trial;

    begin_trial(&trial, "ab");
    settle(&trial, 'a', -ECONNREFUSED);
    settle(&trial, 'b', 0);
    assert_won(&trial, 'b', "+a+b");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_second_try_failure */
static void fails_with_the_last_error(void **state)
{
    struct trial trial;

    begin_trial(&trial, "ab");
    settle(&trial, 'a', -ECONNREFUSED);
    settle(&trial, 'b', -EHOSTUNREACH);
    assert_failed(&trial, -EHOSTUNREACH, "+a+b");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_second_try_timeout */
static void does_not_try_the_same_family_again_after_the_delay(void **state)
{
    struct trial trial;

    begin_trial(&trial, "ab");
    pass(&trial, 0.4);
    assert_string_equal(trial.story, "+a");
    settle(&trial, 'a', -ECONNREFUSED);
    settle(&trial, 'b', 0);
    assert_won(&trial, 'b', "+a+b");
    end_of(&trial);
}

/* tcpclient_test:test_two_families_immediate_failure */
static void starts_the_other_family_as_soon_as_an_attempt_fails(void **state)
{
    struct trial trial;

    begin_trial(&trial, "abcd");
    settle(&trial, 'a', -ECONNREFUSED);
    assert_string_equal(trial.story, "+a+b+c");
    settle(&trial, 'b', -ECONNREFUSED);
    assert_false(trial.done);
    settle(&trial, 'c', 0);
    assert_won(&trial, 'c', "+a+b+c");
    end_of(&trial);
}

/* tcpclient_test:test_two_families_timeout */
static void starts_the_other_family_after_the_delay(void **state)
{
    struct trial trial;

    begin_trial(&trial, "abcd");
    pass(&trial, 0.299);
    assert_string_equal(trial.story, "+a");
    pass(&trial, 0.002);
    assert_string_equal(trial.story, "+a+c");
    settle(&trial, 'c', 0);
    assert_won(&trial, 'c', "+a+c-a");
    end_of(&trial);
}

/* tcpclient_test:test_success_after_timeout */
static void lets_the_first_family_win_after_the_other_has_started(void **state)
{
    struct trial trial;

    begin_trial(&trial, "abcd");
    pass(&trial, 0.301);
    settle(&trial, 'a', 0);
    assert_won(&trial, 'a', "+a+c-c");
    connector_tell(&trial.connector, 1, 0); /* too late: nobody hears of it */
    end_of(&trial);
}

/* tcpclient_test:test_all_fail */
static void fails_only_when_both_families_are_exhausted(void **state)
{
    struct trial trial;

    begin_trial(&trial, "abcd");
    pass(&trial, 0.301);
    settle(&trial, 'c', -ENETUNREACH);
    settle(&trial, 'd', -ENETUNREACH);
    assert_false(trial.done);
    settle(&trial, 'a', -ECONNREFUSED);
    assert_false(trial.done);
    settle(&trial, 'b', -EHOSTUNREACH);
    assert_failed(&trial, -EHOSTUNREACH, "+a+c+d+b");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_timeout_after_connect_timeout */
static void gives_up_at_the_deadline(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "ab", 0.2);
    pass(&trial, 0.199);
    assert_false(trial.done);
    pass(&trial, 0.002);
    assert_failed(&trial, -ETIMEDOUT, "+a-a");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_success_before_connect_timeout */
static void keeps_a_success_that_came_before_the_deadline(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "ab", 0.2);
    pass(&trial, 0.1);
    settle(&trial, 'a', 0);
    assert_won(&trial, 'a', "+a");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_second_try_after_connect_timeout */
static void gives_up_at_the_deadline_during_a_later_address(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "ab", 1);
    pass(&trial, 0.5);
    settle(&trial, 'a', -ECONNREFUSED);
    pass(&trial, 0.6);
    assert_failed(&trial, -ETIMEDOUT, "+a+b-b");
    end_of(&trial);
}

/* tcpclient_test:test_one_family_second_try_failure_before_connect_timeout */
static void tells_of_failure_before_the_deadline(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "ab", 1);
    settle(&trial, 'a', -ECONNREFUSED);
    settle(&trial, 'b', -ECONNREFUSED);
    assert_failed(&trial, -ECONNREFUSED, "+a+b");
    end_of(&trial);
}

/* tcpclient_test:test_two_family_timeout_before_connect_timeout */
static void gives_up_both_families_at_the_deadline(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "abcd", 1);
    pass(&trial, 0.301);
    pass(&trial, 1);
    assert_failed(&trial, -ETIMEDOUT, "+a+c-a-c");
    end_of(&trial);
}

/* tcpclient_test:test_two_family_success_after_timeout */
static void abandons_the_second_family_when_the_first_connects(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "abcd", 5);
    pass(&trial, 0.301);
    settle(&trial, 'a', -ECONNREFUSED);
    settle(&trial, 'b', 0);
    assert_won(&trial, 'b', "+a+c+b-c");
    end_of(&trial);
}

/* tcpclient_test:test_two_family_timeout_after_connect_timeout */
static void does_not_start_the_second_family_after_the_deadline(void **state)
{
    struct trial trial;

    begin_trial_with(&trial, "abcd", 0.1);
    pass(&trial, 0.2);
    assert_failed(&trial, -ETIMEDOUT, "+a-a");
    end_of(&trial);
}

static void passes_over_addresses_that_fail_at_once(void **state)
{
    struct trial trial;

    prepare_trial(&trial, "abcd");
    trial.fail_at_once = "ac";
    connector_start(&trial.connector, 0.3, 1000);
    assert_string_equal(trial.story, "+a+b+c+d");
    settle(&trial, 'd', 0);
    assert_won(&trial, 'd', "+a+b+c+d-b");
    end_of(&trial);
}

static void fails_when_all_addresses_fail_at_once(void **state)
{
    struct trial trial;

    prepare_trial(&trial, "abcd");
    trial.fail_at_once = "abcd";
    connector_start(&trial.connector, 0.3, 1000);
    assert_failed(&trial, -ENETUNREACH, "+a+b+c+d");
    end_of(&trial);
    begin_trial(&trial, "");
    assert_failed(&trial, -ENXIO, "");
    end_of(&trial);
}

static void abandons_all_when_it_is_stopped(void **state)
{
    struct trial trial;

    begin_trial(&trial, "abcd");
    pass(&trial, 0.301);
    connector_stop(&trial.connector, -ECANCELED);
    connector_stop(&trial.connector, -EIO);
    assert_failed(&trial, -ECANCELED, "+a+c-a-c");
    end_of(&trial);
}

static void asks_for_no_time_that_it_does_not_need(void **state)
{
    static const struct {
        const char *letters, *fail_at_once;
        bool needs_deadline, needs_delay;
    } rows[] = {
        { "ab", "ab", false, false }, { "ac", "ac", false, false }, { "ab", NULL, true, false },
        { "ac", NULL, true, true },   { "ac", "a", true, false },   { "acd", "a", true, false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial trial;
        prepare_trial(&trial, rows[i].letters);
        trial.fail_at_once = rows[i].fail_at_once;
        connector_start(&trial.connector, 0.3, trial.clock + 1000);
        assert_int_equal(trial.done, !rows[i].needs_deadline);
        assert_int_equal(trial.connector.deadline != 0, rows[i].needs_deadline);
        assert_int_equal(trial.connector.delay != 0, rows[i].needs_delay);
        end_of(&trial);
    }
}

static void goes_on_with_nothing_without_memory_for_its_deadline(void **state)
{
    struct trial trial;

    for (int nth = 1;; nth++) {
        prepare_trial(&trial, "ac");
        faults_allocation(nth, true);
        connector_start(&trial.connector, 0.3, trial.clock + 1000);
        bool hit = faults_hit();
        faults_end();
        if (!trial.done)
            settle(&trial, 'a', 0);
        assert_true(trial.done);
        /* Without a deadline nothing goes on: it might never end. */
        assert_int_equal(trial.error, strcmp(trial.story, "+a-a") == 0 ? -ENOMEM : 0);
        assert_true(nth > 1 || trial.error == -ENOMEM);
        end_of(&trial);
        if (!hit)
            break;
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(splits_addresses_of_one_family),
    cmocka_unit_test(splits_addresses_by_the_family_of_the_first),
    cmocka_unit_test(takes_the_first_address_that_connects),
    cmocka_unit_test(fails_when_the_only_address_does),
    cmocka_unit_test(goes_on_to_the_next_address_after_a_failure),
    cmocka_unit_test(fails_with_the_last_error),
    cmocka_unit_test(does_not_try_the_same_family_again_after_the_delay),
    cmocka_unit_test(starts_the_other_family_as_soon_as_an_attempt_fails),
    cmocka_unit_test(starts_the_other_family_after_the_delay),
    cmocka_unit_test(lets_the_first_family_win_after_the_other_has_started),
    cmocka_unit_test(fails_only_when_both_families_are_exhausted),
    cmocka_unit_test(gives_up_at_the_deadline),
    cmocka_unit_test(keeps_a_success_that_came_before_the_deadline),
    cmocka_unit_test(gives_up_at_the_deadline_during_a_later_address),
    cmocka_unit_test(tells_of_failure_before_the_deadline),
    cmocka_unit_test(gives_up_both_families_at_the_deadline),
    cmocka_unit_test(abandons_the_second_family_when_the_first_connects),
    cmocka_unit_test(does_not_start_the_second_family_after_the_deadline),
    cmocka_unit_test(passes_over_addresses_that_fail_at_once),
    cmocka_unit_test(fails_when_all_addresses_fail_at_once),
    cmocka_unit_test(abandons_all_when_it_is_stopped),
    cmocka_unit_test(asks_for_no_time_that_it_does_not_need),
    cmocka_unit_test(goes_on_with_nothing_without_memory_for_its_deadline),
};

TESTING_MAIN(tests)
