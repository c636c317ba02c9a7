/* Internal: httpclientlayer.h, what a layer above fetches with: a request that leaves HTTP. */
#ifndef HTTPCLIENT_HTTPCLIENTLAYER_H
#define HTTPCLIENT_HTTPCLIENTLAYER_H

#include "httpclient/httpclient.h"

/* As httpclient_fetch, for a request that asks for an upgrade; its scheme may also be ws or wss. Its headers (Upgrade
 * and Connection among them) go out as they are. When the server answers 101, in on_response the stream is there and
 * the caller's, with what came behind the head unread, outside the pool; with any other answer stream is NULL, the
 * status not followed if it redirects unless the request says so (no_follow_redirects counts), and the connection goes
 * back to the pool as ever. Deadlines end with on_response. */
typedef void httpclientlayer_upgrade_fn(struct httpclient_response *response, struct iostream *stream, void *arg);
uint64_t httpclientlayer_upgrade(struct httpclient *client, const struct httpclient_request *request,
                                 httpclientlayer_upgrade_fn *on_response, void *arg);

#endif
