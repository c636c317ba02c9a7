/* Messages that come in compressed: RFC 7692. */
#include "websocket/websocketconnection.h"
#include "websocket/websocketdeflate.h"

#define LEAST_INFLATED 512u /* room for a message, at first */

static bool is_text_so_far(struct websocketutf8 *utf8, const struct websocketdeflate_piece *part, bool is_last)
{
    if (!websocketutf8_check(utf8, part->data, part->length) || (is_last && !websocketutf8_is_whole(utf8)))
        return false;
    return true;
}

/* How long a message will be is not known: it gets as much room again as it has. */
static void take_inflated(struct websocket *socket, const struct websocketdeflate_piece *part, bool is_binary,
                          bool is_last)
{
    struct websocketconnection_rare *rare = socket->rare;

    if (!is_binary && !is_text_so_far(&rare->inflated, part, is_last)) {
        websocketconnection_refuse(socket, WEBSOCKET_INVALID, "a text that is not UTF-8");
    } else if (socket->handler->on_piece != NULL) {
        if (part->length > 0 || is_last)
            socket->handler->on_piece(socket, part->data, part->length, is_binary, is_last);
    } else if (websocketconnection_collect(socket, part->data, part->length,
                                           rare->length + part->length + LEAST_INFLATED)) {
        if (is_last)
            websocketconnection_hand_over_block(socket, is_binary);
    }
}

static const char *problem_of_inflating(int code)
{
    return code == WEBSOCKET_TOO_BIG    ? "a message over the limit"
           : code == WEBSOCKET_INTERNAL ? "no memory"
                                        : "a message that is not deflated";
}

/* Answers how many bytes were not taken, as the program has paused in between; what had been inflated already waits in
 * the window. */
static size_t inflate_bytes(struct websocket *socket, uint64_t most, const char *data, size_t length, bool is_binary,
                            bool is_last)
{
    struct websocketdeflate_piece part;

    do {
        ssize_t taken = websocketdeflate_decompress(socket->rare->deflate, data, length, is_last, most, &part);
        if (taken < 0) {
            websocketconnection_refuse(socket, (int)-taken, problem_of_inflating((int)-taken));
            return 0;
        }
        data += taken;
        length -= (size_t)taken;
        take_inflated(socket, &part, is_binary, is_last && !part.more);
    } while (part.more && websocketconnection_reads_frames(socket));
    if (!part.more || websocketconnection_has_ended(socket))
        return 0;
    if (length == 0) {
        socket->rare->is_inflating = true;
        socket->rare->inflates_binary = is_binary;
        socket->rare->inflates_last = is_last;
    }
    return length;
}

size_t websocketconnection_inflate(struct websocket *socket, uint64_t most, struct websocketreader *reader,
                                   const struct websocketreader_piece *piece)
{
    size_t left = inflate_bytes(socket, most, piece->data, piece->length, piece->is_binary, piece->is_last);

    websocketreader_give_back(reader, piece, left);
    return left;
}

/* What waited in the window while the program had paused. */
void websocketconnection_go_on_inflating(struct websocket *socket, uint64_t most)
{
    struct websocketconnection_rare *rare = socket->rare;

    rare->is_inflating = false;
    socket->stream->takes_nothing = false;
    inflate_bytes(socket, most, "", 0, rare->inflates_binary, rare->inflates_last);
}
