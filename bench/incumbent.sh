#!/usr/bin/env bash
# The daily check that teams use today, rewritten from its description: it checks the certificates in a backup bucket.
#
#   incumbent.sh ENDPOINT BUCKET REGION ENVIRONMENT      (credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)
#
# It lists the folders at the top of the bucket; for each folder (= consumer) it copies {consumer}/client.pem, runs
# `openssl x509 -enddate` and decides about the message. It prints the messages that it would post, and at the end the
# number of certificates that it has read.
#
# Simplifications in its favour: curl instead of the aws CLI, whose start alone (`aws --version`) takes half a second of
# a core; one request for a copy instead of two; no `cut` and no `date` for each certificate, because bash itself does
# that here; no message is posted; and a consumer without a certificate does not end the whole run.
set -uo pipefail

endpoint=$1 bucket=$2 region=$3 environment=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A file, so that no process list shows the credentials. The header is the SHA-256 of an empty body, which S3 requires
# and old versions of curl do not send.
cat >"$work/curl" <<END
silent
show-error
fail
user = "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
aws-sigv4 = "aws:amz:$region:s3"
header = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
END

fetch() { curl --config "$work/curl" --output "$1" "$endpoint/$bucket$2"; }

folders() {
  local page after=
  while :; do
    # The parameters are in alphabetical order, as the signature requires.
    fetch "$work/page" "?delimiter=%2F&list-type=2${after:+&start-after=$after}" || return
    page=$(<"$work/page")
    grep -o '<CommonPrefixes><Prefix>[^<]*' <<<"$page" | sed 's/.*>//; s,/$,,' | tee "$work/folders"
    [[ $page == *'<IsTruncated>true'* ]] || return 0
    # The text after the folder in alphabetical order: a slash, and after it the 0.
    after="$(tail -n 1 "$work/folders")0"
  done
}

declare -A month_numbers=([Jan]=1 [Feb]=2 [Mar]=3 [Apr]=4 [May]=5 [Jun]=6 [Jul]=7 [Aug]=8 [Sep]=9 [Oct]=10 [Nov]=11 [Dec]=12)

# Days since 1970 of a date in the Gregorian calendar, into the variable `days`.
count_days() {
  local year=$1 month=$2 day=$3
  ((month <= 2)) && ((year--, month += 12))
  days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719469))
}

printf -v today '%(%s)T' -1
today=$((today / 86400))
checked=0

while read -r consumer; do
  fetch "$work/client.pem" "/$consumer/client.pem" || continue
  end=$(openssl x509 -enddate -noout -in "$work/client.pem") || continue
  read -r month day _ year _ <<<"${end#notAfter=}"
  count_days "$year" "${month_numbers[$month]}" "$day"
  left=$((days - today))
  case $left in
    30 | 21 | 14 | 7 | 6 | 5 | 4 | 3 | 2 | 1 | 0)
      printf '**ALERT ACTION REQUIRED** The certificate for %s in %s will expire on %s (in %s days).\n' \
        "$consumer" "$environment" "${end#notAfter=}" "$left" ;;
  esac
  ((checked++))
done < <(folders)

echo "checked $checked"
