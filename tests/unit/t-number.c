/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and single values: stream/number.h, stream/value.h. */
#include "stream/number.h"
#include "stream/value.h"

#include <math.h>
#include <stdlib.h>

#include "tap.h"

/* ---- helpers ------------------------------------------------------------ */

static const char *
text_of(const struct fl_dec *d)
{
	static char buf[FL_NUMBER_TEXT_MAX + 1];

	buf[fl_number_format(d, buf)] = '\0';
	return buf;
}

static struct fl_dec
dec(const char *text)
{
	struct fl_dec d = { 0 };

	if (!fl_number_parse(text, strlen(text), &d))
		tap_ok(false, "\"%s\" is a number", text);
	return d;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t
random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of all lengths alike. */
static int64_t
random_int(void)
{
	return (int64_t)random64() >> (random64() % 64);
}

/* ---- parsing and printing ----------------------------------------------- */

/* want: what is printed, "~" before it: a double; NULL: not a number. */
static void
test_parse(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "0", "0" }, { "-0", "0" }, { "7", "7" }, { "+7", "7" }, { "007", "7" },
		{ "1.10", "1.10" }, { "-0.00", "0.00" }, { ".5", "0.5" }, { "5.", "5" },
		{ "1e3", "1000" }, { "1.50e1", "15.0" }, { "1.5E-5", "0.000015" },
		{ "1e16", "10000000000000000" }, { "12e-1", "1.2" }, { "0e99999", "0" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "9223372036854775808", "9223372036854775808" },
		{ "99999999999999999999999999999999999999",
		  "99999999999999999999999999999999999999" },
		{ "100000000000000000000000000000000000000", "~1e+38" },
		{ "0.00000000000000000000000000000000000001",
		  "0.00000000000000000000000000000000000001" },
		{ "1e-39", "~1e-39" }, { "1e308", "~1e+308" }, { "5e-324", "~5e-324" },
		{ "1e400", NULL }, { "-1e99999999999999999999", NULL },
		{ "1e-99999999999999999999", "~0" },
		{ "2.2250738585072014e-308", "~2.2250738585072014e-308" },
		{ "1.00000000000000000000000000000000000000000000",
		  "1.0000000000000000000000000000000000000" },
		{ "NaN", "~NaN" }, { "nan", "~NaN" }, { "Infinity", "~Infinity" },
		{ "-infinity", "~-Infinity" }, { "+INFINITY", "~Infinity" },
		{ "", NULL }, { "-", NULL }, { "+", NULL }, { ".", NULL }, { "e5", NULL },
		{ "1e", NULL }, { "1e+", NULL }, { "1.2.3", NULL }, { " 1", NULL }, { "1 ", NULL },
		{ "--1", NULL }, { "0x10", NULL }, { "inf", NULL }, { "-NaN", NULL },
		{ "1_000", NULL }, { "1,5", NULL }, { "12a", NULL }, { "nano", NULL },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct fl_dec d;
		char got[FL_NUMBER_TEXT_MAX + 2] = "~";
		bool is = fl_number_parse(cases[i].text, strlen(cases[i].text), &d);

		if (is)
			strcpy(got + (d.scale == FL_DEC_DOUBLE), text_of(&d));
		tap_eq_str(is ? got : NULL, cases[i].want, "\"%s\" is %s", cases[i].text,
			   cases[i].want ? cases[i].want : "no number");
	}
	tap_ok(!fl_number_parse("1\0", 2, &(struct fl_dec){ 0 }), "a NUL is not part of a number");
}

static void
test_int_format(void)
{
	int64_t edge[40];
	size_t n = 0;
	bool same = true;

	edge[n++] = INT64_MIN;
	edge[n++] = INT64_MAX;
	for (int64_t p = 1; n < 38; p *= 10) {
		edge[n++] = p;
		edge[n++] = 1 - p;
		if (p > INT64_MAX / 10)
			break;
	}
	for (size_t i = 0; i < 200000 && same; i++) {
		int64_t v = i < n ? edge[i] : random_int();
		char got[FL_NUMBER_TEXT_MAX], want[FL_NUMBER_TEXT_MAX];
		size_t len = fl_int_format(v, got);
		int64_t back = 0;

		(void)snprintf(want, sizeof want, "%" PRId64, v);
		same = len == strlen(want) && memcmp(got, want, len) == 0;
		if (same && len <= 18)
			same = fl_int_parse(got, len, &back) && back == v;
		if (!same)
			printf("# %s, got %.*s\n", want, (int)len, got);
	}
	tap_ok(same, "integers as printf prints them, and back");
}

static void
test_double_format(void)
{
	static const struct {
		double v;
		const char *want;
	} cases[] = {
		{ 0.1, "0.1" }, { 1e20, "1e+20" }, { 1e15, "1e+15" },
		{ 123456789012345.0, "123456789012345" },
		{ 0.0001, "0.0001" }, { 0.00001, "1e-05" }, { 1.0 / 3, "0.3333333333333333" },
		{ -2.5, "-2.5" }, { -0.0, "-0" }, { 100, "100" }, { 5e-324, "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ 0.30000000000000004, "0.30000000000000004" },
		{ 1e-7, "1e-07" }, { 1234567890123456.0, "1.234567890123456e+15" },
	};
	bool same = true;

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct fl_dec d = fl_dec_from_double(cases[i].v);

		tap_eq_str(text_of(&d), cases[i].want, "%.17g is printed %s", cases[i].v,
			   cases[i].want);
	}
	for (int i = 0; i < 100000 && same; i++) {
		uint64_t bits = random64();
		struct fl_dec d = { .lo = bits, .scale = FL_DEC_DOUBLE };
		double v = fl_dec_to_double(&d), back;
		const char *text = text_of(&d);

		if (!isfinite(v))
			continue;
		back = strtod(text, NULL);
		same = memcmp(&v, &back, sizeof v) == 0 && strlen(text) < 26;
		if (!same)
			printf("# %a, got %s\n", v, text);
	}
	tap_ok(same, "doubles read back as they were");
}

/* ---- arithmetic --------------------------------------------------------- */

/*
 * What PostgreSQL's numeric gives, computed with unbounded integers and its rule
 * for the scale of quotients.
 */
static const struct {
	char op;
	const char *a, *b, *want;
} arithmetic[] = {
	{ '+', "1.10", "2", "3.10" },
	{ '+', "0.1", "0.2", "0.3" },
	{ '*', "0.908", "1000", "908.000" },
	{ '/', "1", "3", "0.33333333333333333333" },
	{ '/', "10", "4", "2.5000000000000000" },
	{ '/', "7", "1", "7.0000000000000000" },
	{ '/', "2", "3", "0.66666666666666666667" },
	{ '/', "-22", "7", "-3.1428571428571429" },
	{ '/', "0", "5", "0.00000000000000000000" },
	{ '%', "-7", "3", "-1" },
	{ '%', "7.5", "-2", "1.5" },
	{ 'd', "-7", "2", "-3" },
	{ 'r', "2.5", "0", "3" },
	{ 'r', "-2.5", "0", "-3" },
	{ 'r', "1.5", "3", "1.500" },
	{ 'r', "1250", "-2", "1300" },
	{ 't', "-2.99", "1", "-2.9" },
	{ '+', "-235", "-719330391008835362", "-719330391008835597" },
	{ '-', "-597968477332656152", "8544011506217517573780547", "-8544012104185994906436699" },
	{ '*', "7", "0006081848905963487043", "42572942341744409301" },
	{ '/', "582322856334447360.00", "000789767724301684087142174000",
	  "0.0000000007373343306088377518" },
	{ '%', "-0.00000000000000000000000000000000000326", "-99999999999999",
	  "-0.00000000000000000000000000000000000326" },
	{ 'd', "0.0000000000000999999999999999999999999", "3257663826076879.3", "0" },
	{ 'r', "-13940475455199242.49", "8", "-13940475455199242.49000000" },
	{ 't', "-0.00088", "9", "-0.000880000" },
	{ '<', "0.00028254205790258365241", "-86342375883542788936000", "1" },
	{ '+', "-000.0", "-300.0", "-300.0" },
	{ '-', "00064448359726507653.5", "0002000", "64448359726505653.5" },
	{ '*', "1251937271210615059552880381945899900.0", "0.6",
	  "751162362726369035731728229167539940.00" },
	{ '/', "999999999.99", "864886774.000", "1.1562207100995627" },
	{ '%', "-7728313954373722669128998", "300.0", "-98.0" },
	{ 'd', "200.0", "5.9391809135759163000", "33" },
	{ 'r', "-4.3", "14", "-4.30000000000000" },
	{ 't', "00.05776520404929692547863165706774622356", "14", "0.05776520404929" },
	{ '<', "-0.0", "-844354359782460816.70", "1" },
	{ '+', "-0.00000000000000000000000000000034128000", "0.0",
	  "-0.00000000000000000000000000000034128000" },
	{ '-', "2", "0007118855163", "-7118855161" },
	{ '*', "60.00", "000365936830133006538000", "21956209807980392280000.00" },
	{ '/', "9999999999999999999999999999", "-99", "-101010101010101010101010101" },
	{ '%', "0.0826118951015083078897205007680727867", "-4604",
	  "0.0826118951015083078897205007680727867" },
	{ 'd', "0.0009253071936580592471", "-4.2", "0" },
	{ 'r', "0.00000000000000000000000000000000000445", "18", "0.000000000000000000" },
	{ 't', "150", "-5", "0" },
	{ '<', "0.00071075", "24061385551166781.7", "-1" },
	{ '+', "-3258505842062829.497", "137774418000", "-3258368067644829.497" },
	{ '-', "594387376", "99999999999999999999999.999", "-99999999999999405612623.999" },
	{ '*', "-0005915583.813", "5", "-29577919.065" },
	{ '/', "0.00000000000000000000000000000043131796",
	  "0.00000000000000063791793351060286031000",
	  "0.00000000000000067613393093742056771856" },
	{ '%', "-0.34830236982208656613", "346454504547265381231119794282221757",
	  "-0.34830236982208656613" },
	{ 'd', "-0.73", "-00044907490655612709993422047347501107.614", "0" },
	{ 'r', "000628390.00", "19", "628390.0000000000000000000" },
	{ 't', "-0.00000000000000000000000000000000000059", "19", "0.0000000000000000000" },
	{ '<', "0.00000000000000000000000000000000000120", "91", "-1" },
	{ '+', "0.982", "0.37732112225665750", "1.35932112225665750" },
	{ '-', "0.00014141419391077341", "-9999999999999", "9999999999999.00014141419391077341" },
	{ '*', "0.000000000999999999", "0.20", "0.00000000019999999980" },
	{ '/', "21800.0", "261872.796", "0.08324652401084074422" },
	{ '%', "3167791667183453015908697329548152155.1", "4133465657371414",
	  "1358667421291533.1" },
	{ 'd', "-15173.518", "00015236187607130472414425.13", "0" },
	{ 'r', "-4195863821.000", "-1", "-4195863820" },
	{ 't', "-0001139977120240994681", "-3", "-1139977120240994000" },
	{ '<', "0.00000000000000000000000000000000000002", "836828628282326959.3", "-1" },
	{ '+', "-23250772506797139732473842425304003.90", "-000285619006501297402726172000",
	  "-23250772792416146233771245151476003.90" },
	{ '-', "399224413526778928000", "59998535134321269000", "339225878392457659000" },
	{ '*', "-0006.7", "9999999999999", "-66999999999993.3" },
	{ '/', "165947389", "22520725.3", "7.3686520655709077" },
	{ '%', "-40095909753437810", "68389000", "-48404810" },
	{ 'd', "0.00000000000000000000000000000000034000", "-179944038023547.941", "0" },
	{ 'r', "0.00000000000000000000000000000000052290", "17", "0.00000000000000000" },
	{ 't', "-2999.0", "16", "-2999.0000000000000000" },
	{ '<', "913.000", "-6400.0", "1" },
	{ '+', "497765623836691.677", "-0.59", "497765623836691.087" },
	{ '-', "0.7", "-5706220866995065563.1", "5706220866995065563.8" },
	{ '*', "0.008", "-00.0514919505947360658", "-0.0004119356047578885264" },
	{ '/', "5609780683393836125011.545", "000.43063", "13026915643113197234311.46228" },
	{ '%', "-9456227877", "507810459", "-315639615" },
	{ 'd', "-96", "-2", "48" },
	{ 'r', "9999999.99", "1", "10000000.0" },
	{ 't', "-0.009", "-4", "0" },
	{ '<', "-0.01", "0.23132987292996557159186649224632614966", "-1" },
	{ '+', "0.83482319553223939185638690367215837077",
	  "-0.00000000000000000000000999999999999999",
	  "0.83482319553223939185637690367215837078" },
	{ '-', "9", "-000405.6423748912271234013618000", "414.6423748912271234013618000" },
	{ '*', "-999999999999999.9", "5393902083", "-5393902082999999460609791.7" },
	{ '/', "-000197569254122035217.2", "0007610164131691344359885504.000",
	  "-0.000000025961234304959180" },
	{ '%', "-84012677571879102263", "00019545098796302089512931480886624635777",
	  "-84012677571879102263" },
	{ 'd', "6066941914795262566.6", "0.0008", "7583677393494078208250" },
	{ 'r', "000428592029", "9", "428592029.000000000" },
	{ 't', "-58194000", "-3", "-58194000" },
	{ '<', "-0.00015", "-000979000", "1" },
	{ '+', "0.677", "0.002", "0.679" },
	{ '-', "6448885527029213976744040465845991812", "-000749148025317819690",
	  "6448885527029213977493188491163811502" },
	{ '*', "-0.5407938259335179583755034", "-3.505", "1.8954823598969804441061394170" },
	{ '/', "471490194125549145459777.9", "48361967684131137704898109596032342582",
	  "0.00000000000000974919377153998138" },
	{ '%', "9510.00", "-470", "110.00" },
	{ 'd', "-0.91650600077756477811488326447729961000", "0.00033448437971549965", "-2740" },
	{ 'r', "-0.11201725895044937478758034762486056849", "15", "-0.112017258950449" },
	{ 't', "-0.0005114683453", "14", "-0.00051146834530" },
	{ '<', "-0.07168380517424225518", "-430.00", "1" },
	{ '+', "3663165534", "52628834226101313", "52628837889266847" },
	{ '-', "-00043344164.4", "790.00", "-43344954.40" },
	{ '*', "5", "999999999999999999999999999999999", "4999999999999999999999999999999995" },
	{ '/', "415961260782350195000", "0.027150772", "15320421120340526413024.277910035" },
	{ '%', "9737543760876378.0", "984", "666.0" },
	{ 'd', "28733121290915860241", "3", "9577707096971953413" },
	{ 'r', "0.00000000000000000000000000000393995399", "11", "0.00000000000" },
	{ 't', "-0.884", "2", "-0.88" },
	{ '<', "0.0000000000000000999999999", "0.000522", "-1" },
	{ '+', "00018037.000", "-0.000601298065518371625", "18036.999398701934481628375" },
	{ '-', "-000.5655994904", "69055", "-69055.5655994904" },
	{ '*', "-49000", "0.00000000000000000000037980192914914576",
	  "-0.00000000000000001861029452830814224000" },
	{ '/', "0.6721236886504028334", "0.8", "0.84015461081300354175" },
	{ '%', "2186884544870624620172558000", "4325451348403998009507114466322667497",
	  "2186884544870624620172558000" },
	{ 'd', "-0.094000", "000483283354937041471.13", "0" },
	{ 'r', "78770288639737692525", "1", "78770288639737692525.0" },
	{ 't', "99", "8", "99.00000000" },
	{ '<', "-0.00000000000000000005036250670783928982", "0.01117339758021454439", "-1" },
	{ '+', "0.00000000000000000019371722423436678000", "-000.544",
	  "-0.54399999999999999980628277576563322000" },
	{ '-', "-8", "418012243352623.388", "-418012243352631.388" },
	{ '*', "3250067433", "432283419548539554245245.3",
	  "1404950263700583967964808644626314.9" },
	{ '/', "000.2", "1", "0.20000000000000000000" },
	{ '%', "99999.9999999999999999999", "0.0007", "0.0005999999999999999" },
	{ 'd', "0.00000000000000000000000000000000000999", "4088004115924425.052", "0" },
	{ 'r', "14098879673330185500.0", "18", "14098879673330185500.000000000000000000" },
	{ 't', "90.00", "15", "90.000000000000000" },
	{ '<', "0.99027", "99999999999999999999999999999.9", "-1" },
	{ '+', "-29358161134917561.211", "-8.03", "-29358161134917569.241" },
	{ '-', "0.015912625745079505", "0.00000000000000000000000000000000000004",
	  "0.01591262574507950499999999999999999996" },
	{ '*', "9999", "82", "819918" },
	{ '/', "-000327594695841243.496", "-17334310297508555501", "0.000018898628801419828095" },
	{ '%', "-5664650.467", "99999999999999999999999999", "-5664650.467" },
	{ 'd', "-0.6271059596", "-000.2", "3" },
	{ 'r', "0.03278007043993484613170097509525047866", "4", "0.0328" },
	{ 't', "000787013379973246535", "18", "787013379973246535.000000000000000000" },
	{ '<', "800465055897343999", "58911865432836211", "1" },
	{ '+', "0.668240506694142888000", "410954479", "410954479.668240506694142888000" },
	{ '-', "-66", "66807", "-66873" },
	{ '*', "66855", "-76972604378479.804", "-5146003465723267296.420" },
	{ '/', "73602", "0.6739423016", "109211.129536255838" },
	{ '%', "5.000", "32790912", "5.000" },
	{ 'd', "0.008", "-0.31796246318261275599824450160273541000", "0" },
	{ 'r', "0.0007", "17", "0.00070000000000000" },
	{ 't', "-5819271645469052.8", "16", "-5819271645469052.8000000000000000" },
	{ '<', "-000683920604975846355697982", "0.0007799169562", "-1" },
};

static const char *
compute(char op, const char *at, const char *bt)
{
	struct fl_dec a = dec(at), b = dec(bt), d = { 0 };
	int rc = 0;

	switch (op) {
	case '+': rc = fl_dec_add(&a, &b, &d); break;
	case '-': rc = fl_dec_sub(&a, &b, &d); break;
	case '*': rc = fl_dec_mul(&a, &b, &d); break;
	case '/': rc = fl_dec_div(&a, &b, &d); break;
	case '%': rc = fl_dec_mod(&a, &b, &d); break;
	case 'd': rc = fl_dec_int_div(&a, &b, &d); break;
	case 'r': rc = fl_dec_round(&a, atoi(bt), &d); break;
	case 't': rc = fl_dec_trunc(&a, atoi(bt), &d); break;
	default:
		d = fl_dec_from_int(fl_dec_compare(&a, &b));
		break;
	}
	return rc < 0 ? "error" : text_of(&d);
}

static void
test_arithmetic(void)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(arithmetic); i++)
		tap_eq_str(compute(arithmetic[i].op, arithmetic[i].a, arithmetic[i].b),
			   arithmetic[i].want, "%s %c %s", arithmetic[i].a, arithmetic[i].op,
			   arithmetic[i].b);
}

/* Where 38 digits do not do. */
static void
test_limits(void)
{
	const char *most = "99999999999999999999999999999999999999";

	tap_eq_str(compute('+', most, "1"), "1e+38", "a sum of 39 digits is a double");
	tap_eq_str(compute('*', most, "10"), "1e+39", "so is a product");
	tap_eq_str(compute('-', most, most), "0", "38 digits are exact");
	tap_eq_str(compute('*', "1e308", "10"), "error", "too large for a double");
	tap_eq_str(compute('+', "1.7e308", "1.7e308"), "error", "so a sum");
	tap_eq_str(compute('/', "1", "0"), "error", "1 / 0");
	tap_eq_str(compute('/', "NaN", "0.00"), "error", "NaN / 0");
	tap_eq_str(compute('%', "1", "0.0"), "error", "1 %% 0");
	tap_eq_str(compute('d', "1", "0"), "error", "div(1, 0)");
	tap_eq_str(compute('/', "Infinity", "2"), "Infinity", "Infinity / 2");
	tap_eq_str(compute('-', "Infinity", "Infinity"), "NaN", "Infinity - Infinity");
	tap_eq_str(compute('/', "1", "3e30"), "3.3333333333333338e-31",
		   "a quotient too small for 16 digits at 38 places is a double");
	tap_eq_str(compute('/', "1", "1e30"), "0.00000000000000000000000000000100000000",
		   "unless it is exact");
	tap_eq_str(compute('/', most, "7"), "14285714285714285714285714285714285714",
		   "a quotient of 38 digits before the point has none behind it");
	tap_eq_str(compute('r', "1e300", "2"), "1e+300", "round of a large double");
	tap_eq_str(compute('r', "1e-300", "2"), "0", "round of a tiny double");
}

/* The same in another way: 64-bit operands, 128-bit results. */
static void
test_against_int128(void)
{
	bool same = true;

	for (int i = 0; i < 200000 && same; i++) {
		int64_t x = random_int(), y = random_int();
		uint32_t xs = (uint32_t)(random64() % 10), ys = (uint32_t)(random64() % 10);
		struct fl_dec a = fl_dec_make(x, xs), b = fl_dec_make(y, ys), d;
		fl_int128 p = x, q = y;

		for (uint32_t k = xs; k < 10; k++)
			p *= 10;
		for (uint32_t k = ys; k < 10; k++)
			q *= 10;
		same = fl_dec_compare(&a, &b) == (p > q) - (p < q);
		same = same && fl_dec_mul(&a, &b, &d) == 0 && d.scale == xs + ys &&
		       fl_dec_mantissa(&d) == (fl_int128)x * y;
		same = same && fl_dec_add(&a, &b, &d) == 0 && d.scale == (xs > ys ? xs : ys);
		for (uint32_t k = d.scale; same && k < 10; k++)
			d = fl_dec_make(fl_dec_mantissa(&d) * 10, k + 1);
		same = same && fl_dec_mantissa(&d) == p + q;
		same = same && fl_dec_sub(&d, &b, &d) == 0 && fl_dec_compare(&d, &a) == 0;
	}
	tap_ok(same, "sums, differences, products and order of 64-bit decimals");
}

/* a = q * b + r, |r| < |b|, for modulus and integer division. */
static void
test_division_identity(void)
{
	bool same = true;

	for (int i = 0; i < 100000 && same; i++) {
		struct fl_dec a = fl_dec_make(random_int(), (uint32_t)(random64() % 6));
		struct fl_dec b = fl_dec_make(random_int(), (uint32_t)(random64() % 6));
		struct fl_dec q, r, back;

		if (fl_dec_mantissa(&b) == 0)
			continue;
		same = fl_dec_int_div(&a, &b, &q) == 0 && fl_dec_mod(&a, &b, &r) == 0 &&
		       fl_dec_mul(&q, &b, &back) == 0 && fl_dec_add(&back, &r, &back) == 0 &&
		       fl_dec_compare(&back, &a) == 0;
	}
	tap_ok(same, "a = div(a, b) * b + a %% b");
}

static void
test_compare_doubles(void)
{
	static const struct {
		const char *a;
		double b;
		int want;
	} cases[] = {
		{ "0.1", 0.1, -1 }, /* the double is 0.1000000000000000055.. */
		{ "0.5", 0.5, 0 }, { "9007199254740993", 9007199254740992.0, 1 },
		{ "-0.1", -0.1, 1 }, { "0", -0.0, 0 }, { "0.00", 5e-324, -1 },
		{ "99999999999999999999999999999999999999", 1e38, 1 },
		{ "10000000000000000000000", 1e22, 0 }, { "1", (double)NAN, -1 },
		{ "1", (double)INFINITY, -1 }, { "1", -(double)INFINITY, 1 },
		{ "0.00000000000000000000000000000000000001", 1e-38, 1 },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct fl_dec a = dec(cases[i].a), b = fl_dec_from_double(cases[i].b);

		tap_eq_int(fl_dec_compare(&a, &b), cases[i].want, "%s against %.17g", cases[i].a,
			   cases[i].b);
		tap_eq_int(fl_dec_compare(&b, &a), -cases[i].want, "and the other way round");
	}
	tap_eq_str(compute('<', "NaN", "NaN"), "0", "NaN is equal to itself");
	tap_eq_str(compute('<', "NaN", "Infinity"), "1", "NaN is greatest");
}

/* ---- values ------------------------------------------------------------- */

static struct fl_value
value(const char *text, enum fl_tag tag)
{
	static uint32_t off[2];
	struct fl_vec v = { .kind = FL_TEXT, .tag = (uint8_t)tag, .bytes = text, .off = off };

	off[1] = (uint32_t)strlen(text);
	v.bytes_len = off[1];
	return fl_value_get(&v, 0);
}

static void
test_values(void)
{
	static const struct {
		const char *a, *b;
		enum fl_tag at, bt;
		int want;
	} cases[] = {
		{ "9", "10", FL_TAG_PLAIN, FL_TAG_PLAIN, -1 },
		{ "1.0", "1", FL_TAG_PLAIN, FL_TAG_PLAIN, 0 },
		{ "007", "7", FL_TAG_STRING, FL_TAG_NUMBER, 0 },
		{ "10", "abc", FL_TAG_PLAIN, FL_TAG_PLAIN, -1 },
		{ "10", "1a", FL_TAG_PLAIN, FL_TAG_PLAIN, -1 },
		{ "b", "abc", FL_TAG_PLAIN, FL_TAG_STRING, 1 },
		{ "ab", "abc", FL_TAG_PLAIN, FL_TAG_PLAIN, -1 },
		{ "", "zzz", FL_TAG_PLAIN, FL_TAG_PLAIN, 1 },
		{ "", "a", FL_TAG_STRING, FL_TAG_PLAIN, -1 },
		{ "", "", FL_TAG_NULL, FL_TAG_PLAIN, 0 },
		{ "false", "true", FL_TAG_BOOL, FL_TAG_BOOL, -1 },
		{ "true", "TRUE", FL_TAG_BOOL, FL_TAG_STRING, 0 },
		{ "NaN", "Infinity", FL_TAG_PLAIN, FL_TAG_PLAIN, 1 },
	};
	struct fl_value t = { .type = FL_V_TIME, .time_ms = 1000 }, v;
	struct fl_dec d;

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct fl_value a = value(cases[i].a, cases[i].at);
		struct fl_value b = value(cases[i].b, cases[i].bt);

		tap_eq_int(fl_value_compare(&a, &b), cases[i].want, "\"%s\" against \"%s\"",
			   cases[i].a, cases[i].b);
		tap_eq_int(fl_value_compare(&b, &a), -cases[i].want, "and the other way round");
	}
	v = value("1970-01-01T00:00:01Z", FL_TAG_PLAIN);
	tap_eq_int(fl_value_compare(&t, &v), 0, "a time against a text that is one");
	v = value("1970-01-01T00:00:00.999Z", FL_TAG_PLAIN);
	tap_eq_int(fl_value_compare(&t, &v), 1, "a later time");
	v = value("12", FL_TAG_STRING);
	tap_ok(v.type == FL_V_TEXT && fl_value_number(&v, &d) && d.lo == 12,
	       "a string of digits is text, and a number where one is wanted");
	v = value("12", FL_TAG_PLAIN);
	tap_ok(v.type == FL_V_NUMBER && v.n == 2, "plain digits are a number and keep their text");
	v = value("{}", FL_TAG_OBJECT);
	tap_ok(v.type == FL_V_TEXT && v.tag == FL_TAG_OBJECT, "an object is text of its tag");
}

static void
test_put_and_keys(void)
{
	struct fl_build w;
	struct fl_batch *b;
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl_value v = value("1.50", FL_TAG_NUMBER);
	size_t n;
	const char *p;

	fl_build_init(&w, 4);
	fl_put_fl_value(&w.col[0], &v);
	fl_put_int(&w.col[1], -42);
	fl_put_bool(&w.col[2], true);
	fl_put_null(&w.col[3]);
	fl_build_row(&w, 0, 0, FL_INSERT);
	b = fl_build_view(&w);
	p = fl_key_bytes(&b->col[0], 0, tmp, &n);
	tap_ok(n == 4 && memcmp(p, "1.50", 4) == 0 && fl_tag_of(&b->col[0], 0) == FL_TAG_NUMBER,
	       "a number that was text is put as it was");
	p = fl_key_bytes(&b->col[1], 0, tmp, &n);
	tap_ok(n == 3 && memcmp(p, "-42", 3) == 0, "the key bytes of an integer are its text");
	p = fl_key_bytes(&b->col[2], 0, tmp, &n);
	tap_ok(n == 4 && memcmp(p, "true", 4) == 0, "so of a boolean");
	p = fl_key_bytes(&b->col[3], 0, tmp, &n);
	tap_ok(!p && n == 0, "NULL has none");
	fl_build_release(&w);
}

int
main(void)
{
	test_parse();
	test_int_format();
	test_double_format();
	test_arithmetic();
	test_limits();
	test_against_int128();
	test_division_identity();
	test_compare_doubles();
	test_values();
	test_put_and_keys();
	return tap_done();
}
