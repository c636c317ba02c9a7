/* How many packets the end of an HTTP connection takes: none, as the last answer carries it. On Linux. */
#include <linux/tcp.h>
#include <sys/socket.h>

#include "tests/support/httpscene.h"
#include "tests/support/testing.h"

#define GET(headers) "GET /plain HTTP/1.1\r\nHost: a\r\n" headers "\r\n"
#define TCP          6 /* IPPROTO_TCP of <netinet/in.h>, which does not go with <linux/tcp.h> */

/* That the client has got so far. */
static unsigned packets(const struct httpscene_client *client)
{
    struct tcp_info info = { 0 };

    assert_int_equal(getsockopt(client->fd, TCP, TCP_INFO, &info, &(socklen_t){ sizeof info }), 0);
    return info.tcpi_segs_in;
}

/* An acknowledgement of the request may be among them. */
static unsigned packets_of(const char *text, int status, bool closes)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect(&scene);
    unsigned before = packets(client);
    httpscene_put(&scene, client, text);
    if (closes)
        httpscene_expect_last(&scene, client, status);
    else
        httpscene_expect(&scene, client, status, "GET /plain");
    unsigned count = packets(client) - before;
    httpscene_close(&scene);
    return count;
}

static void the_last_answer_carries_the_end(void **state)
{
    unsigned usual = packets_of(GET(""), 200, false);

    assert_in_range(usual, 1, 2);
    assert_int_equal(packets_of(GET("Connection: close\r\n"), 200, true), usual);
    assert_int_equal(packets_of("GET /plain HTTP/1.0\r\n\r\n", 200, true), usual);
    assert_int_equal(packets_of("rubbish\r\n\r\n", 400, true), usual); /* this one lingers */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_answer_carries_the_end),
};

TESTING_MAIN(tests)
