/* SPDX-License-Identifier: Apache-2.0
 *
 * some_ca.h - a certificate to be parsed; its key was thrown away, so nobody can ever prove to be
 * signed by it.
 */
#ifndef LBD_SOME_CA_H
#define LBD_SOME_CA_H

static const char some_ca[] = "-----BEGIN CERTIFICATE-----\n"
			      "MIIBbTCCAROgAwIBAgIUO5ZNkNxmOmKnoSv2dTJukUZp3QswCgYIKoZIzj0EAwIw\n"
			      "DDEKMAgGA1UEAwwBdDAeFw0yNjExMjAyMzQxMzVaFw0zNjExMTcyMzQxMzVaMAwx\n"
			      "CjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASUbtdtGLNF87Ji\n"
			      "D7BZ3BHLoXiOPHO8y2qPkw7BkkchP8xnTupuYIqdqVZwd0NrTxyymdvypC+0Xhlr\n"
			      "bmDGuP3Ho1MwUTAdBgNVHQ4EFgQUOYih6Rrt191OIW+Ft3I3uK5qOkMwHwYDVR0j\n"
			      "BBgwFoAUOYih6Rrt191OIW+Ft3I3uK5qOkMwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
			      "hkjOPQQDAgNIADBFAiAuH6b38wp3okm0xPkv/DT4Nq62spfCR1Tjyb2vnjaTHQIh\n"
			      "AIRMqsQLnwkYk8k7fvby/Lf5vIr4p+T5UB0M7HRwbUGG\n"
			      "-----END CERTIFICATE-----\n";

#endif
