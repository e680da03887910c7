"""Deploys the transformed template into moto, a stand-in for AWS in this process, and looks at what came out.

moto's CloudFormation knows no ApiGatewayV2 and no alarms: what it does not know is left out and listed, and its ids are
made up, so that everything else is created for real.
"""

import json
import os
import re
import unittest

os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="eu-central-1")

import boto3
from moto import mock_aws
from transform import transformed

STACK = "moien"
PARAMETERS = {
    "AdminEmail": "admin@example.com",
    "AdminPasswordHash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
    "SenderEmail": "no-reply@example.com",
}

# Types moto's CloudFormation does not create, and what a reference to one of them becomes.
LEFT_OUT = (
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::SecretsManager::",
)


def digestible(template):
    """What moto can deploy, and the logical ids of the rest."""
    resources = template["Resources"]
    left_out = {name for name, resource in resources.items() if resource["Type"].startswith(LEFT_OUT)}
    template["Resources"] = {name: resource for name, resource in resources.items() if name not in left_out}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Logs::LogGroup":
            # It does not resolve intrinsic functions in tags.
            resource["Properties"].pop("Tags", None)
    template.pop("Outputs")
    return made_up(template, left_out), left_out


def made_up(value, names):
    """References to what is left out, as plain text."""
    if isinstance(value, list):
        return [made_up(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("Ref") in names:
        return f"id-of-{value['Ref']}"
    if isinstance(value.get("Fn::Sub"), str):
        text = value["Fn::Sub"]
        for name in names:
            text = re.sub(rf"\$\{{{name}(\.\w+)?\}}", f"id-of-{name}", text)
        return {"Fn::Sub": text}
    return {key: made_up(item, names) for key, item in value.items()}


class Deployed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The functions are not run, so nothing of Docker is needed.
        cls.mock = mock_aws(config={"lambda": {"use_docker": False}, "iam": {"load_aws_managed_policies": True}})
        cls.mock.start()
        cls.template, cls.left_out = digestible(transformed(PARAMETERS))
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        for resource in cls.declared("AWS::Lambda::Function").values():
            s3.put_object(Bucket="code", Key=resource["Code"]["S3Key"], Body=b"bootstrap")
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(cls.template),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in PARAMETERS.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        found = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        cls.physical = {resource["LogicalResourceId"]: resource.get("PhysicalResourceId") for resource in found}

    @classmethod
    def tearDownClass(cls):
        cls.mock.stop()

    @classmethod
    def declared(cls, kind):
        resources = cls.template["Resources"].items()
        return {name: resource["Properties"] for name, resource in resources if resource["Type"] == kind}

    def test_everything_moto_knows_was_created(self):
        self.assertEqual(set(self.template["Resources"]), set(self.physical))
        print("left out:", ", ".join(sorted(self.left_out)))

    def test_tables_have_their_streams_indexes_and_protection(self):
        dynamodb = boto3.client("dynamodb")
        for name, declared in self.declared("AWS::DynamoDB::Table").items():
            table = dynamodb.describe_table(TableName=self.physical[name])["Table"]
            view = declared.get("StreamSpecification", {}).get("StreamViewType")
            expected = {"StreamEnabled": True, "StreamViewType": view} if view else None
            self.assertEqual(table.get("StreamSpecification"), expected, name)
            self.assertEqual(table["DeletionProtectionEnabled"], declared["DeletionProtectionEnabled"], name)
            indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
            self.assertEqual(indexes, {index["IndexName"] for index in declared.get("GlobalSecondaryIndexes", [])})

    def test_every_function_is_a_bootstrap_with_its_environment(self):
        client = boto3.client("lambda")
        functions = self.declared("AWS::Lambda::Function")
        self.assertGreater(len(functions), 6)
        for name, declared in functions.items():
            function = client.get_function_configuration(FunctionName=self.physical[name])
            self.assertEqual((function["Runtime"], function["Handler"]), ("provided.al2023", "bootstrap"), name)
            # moto does not take this one over.
            self.assertEqual(declared["Architectures"], [{"Ref": "Architecture"}], name)
            self.assertEqual((function["MemorySize"], function["Timeout"]), (declared["MemorySize"], declared["Timeout"]))
            variables = function["Environment"]["Variables"]
            self.assertEqual(set(variables), set(declared["Environment"]["Variables"]), name)
            for variable in ("USERS_TABLE", "CONNECTIONS_TABLE"):
                if variable in variables:
                    table = "UsersTable" if variable == "USERS_TABLE" else "ConnectionsTable"
                    self.assertEqual(variables[variable], self.physical[table], name)

    def test_every_role_is_held_by_the_boundary(self):
        iam = boto3.client("iam")
        boundary = self.physical["FunctionBoundary"]
        roles = {name for name in self.declared("AWS::IAM::Role") if name.endswith("FunctionRole")}
        self.assertEqual(len(roles), len(self.declared("AWS::Lambda::Function")))
        for name in roles:
            role = iam.get_role(RoleName=self.physical[name])["Role"]
            self.assertEqual(role["PermissionsBoundary"]["PermissionsBoundaryArn"], boundary, name)

    def test_the_boundary_leaves_room_for_streams_dead_letters_and_logs(self):
        """What SAM grants beside the functions' own policies has to stay possible, on this stack's resources."""
        policy = self.template["Resources"]["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"]
        text = json.dumps(policy)
        for source in self.declared("AWS::Lambda::EventSourceMapping").values():
            table = source["EventSourceArn"]["Fn::GetAtt"][0]
            self.assertIn(f"${{{table}.Arn}}/*", text)
            queue = source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
            # A bucket's objects have its ARN with a path behind it.
            self.assertIn(json.dumps({"Fn::GetAtt": [queue, "Arn"]}), text)
        self.assertIn("s3:PutObject", text)
        self.assertIn("logs:PutLogEvents", text)
        self.assertNotIn('"*"', text)

    def test_every_function_writes_to_the_one_log_group_that_forgets(self):
        groups = {group["logGroupName"]: group for group in boto3.client("logs").describe_log_groups()["logGroups"]}
        for name in self.declared("AWS::Logs::LogGroup"):
            self.assertEqual(groups[self.physical[name]]["retentionInDays"], 30, name)
        for name, function in self.declared("AWS::Lambda::Function").items():
            self.assertEqual(function["LoggingConfig"]["LogGroup"], {"Ref": "FunctionLogs"}, name)

    def test_the_heartbeat_has_its_minute(self):
        rules = boto3.client("events").list_rules()["Rules"]
        self.assertEqual([rule["ScheduleExpression"] for rule in rules], ["rate(1 minute)"])

    def test_alarms_and_dashboard_know_every_function(self):
        functions = self.declared("AWS::Lambda::Function")
        whole = transformed(PARAMETERS)["Resources"]
        for name in ("FunctionErrorsAlarm", "FunctionThrottlesAlarm", "Dashboard"):
            for function in functions:
                self.assertIn(function, json.dumps(whole[name]), f"{function} is missing in {name}")

    def test_a_connection_is_greeted_by_the_function_that_connect_knows_and_may_invoke(self):
        client = boto3.client("lambda")
        connect = client.get_function_configuration(FunctionName=self.physical["ConnectFunction"])
        self.assertEqual(connect["Environment"]["Variables"]["HANDSHAKE_FUNCTION"], self.physical["HandshakeFunction"])
        policies = self.declared("AWS::IAM::Role")["ConnectFunctionRole"]["Policies"]
        statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
        invoke = [each["Resource"] for each in statements if each["Action"] == "lambda:InvokeFunction"]
        self.assertEqual(invoke, [{"Fn::GetAtt": ["HandshakeFunction", "Arn"]}])

    def test_events_that_are_given_up_go_to_a_queue_that_has_an_alarm(self):
        resources = transformed(PARAMETERS)["Resources"]
        configs = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::EventInvokeConfig"]
        destinations = {
            config["FunctionName"]["Ref"]: config["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
            for config in configs
            if config["DestinationConfig"]
        }
        self.assertEqual(destinations, {"HandshakeFunction": "HandshakeDeadLetters"})
        role = json.dumps(resources["HandshakeFunctionRole"])
        self.assertIn("sqs:SendMessage", role)
        alarm = json.dumps(resources["HandshakeDeadLettersAlarm"]["Properties"]["Dimensions"])
        self.assertIn("HandshakeDeadLetters", alarm)

    def test_every_reader_of_a_stream_has_an_alarm_for_being_late(self):
        resources = transformed(PARAMETERS)["Resources"].values()
        alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
        late = [json.dumps(alarm["Dimensions"]) for alarm in alarms if alarm.get("MetricName") == "IteratorAge"]
        for source in self.declared("AWS::Lambda::EventSourceMapping").values():
            reader = source["FunctionName"]["Ref"]
            self.assertTrue(any(f'"{reader}"' in dimensions for dimensions in late), f"no alarm for {reader}")

    def test_browsers_are_told_whole_what_other_origins_may_do(self):
        """In the body SAM writes: it takes an intrinsic function for the origins alone to be the whole configuration."""
        template = transformed(PARAMETERS)
        condition, cors, otherwise = template["Resources"]["HttpApi"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"]
        self.assertIn(condition, template["Conditions"])
        self.assertEqual(otherwise, {"Ref": "AWS::NoValue"})
        separator, origins = cors.pop("allowOrigins")["Fn::Split"]
        self.assertEqual((separator, origins.split(",")[0]), (",", "http://localhost:4200"))
        self.assertEqual(
            cors,
            {
                "allowMethods": ["GET", "POST", "PATCH", "DELETE"],
                "allowHeaders": ["authorization", "content-type", "idempotency-key", "traceparent", "tracestate", "baggage"],
                "exposeHeaders": ["idempotency-replayed", "link", "retry-after", "www-authenticate", "x-request-id"],
                "maxAge": 600,
            },
        )

    def test_no_route_takes_the_preflights(self):
        """API Gateway asks its routes first, and only what none takes is answered from the CORS configuration."""
        paths = transformed(PARAMETERS)["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
        self.assertGreater(len(paths), 0)
        for path, methods in paths.items():
            self.assertNotEqual(path, "/$default")
            self.assertLessEqual(set(methods), {"get", "post", "patch", "delete"}, path)

    def test_what_hashes_a_password_has_a_throttle_of_its_own(self):
        stage = transformed(PARAMETERS)["Resources"]["HttpApiApiGatewayDefaultStage"]["Properties"]
        whole = stage["DefaultRouteSettings"]
        parameters = self.template["Parameters"]
        self.assertLess(parameters["PasswordRequestsPerSecond"]["Default"], parameters["RestRequestsPerSecond"]["Default"])
        for route in ("users/register", "auth/user/login", "auth/admin/login", "users/{id}/delete"):
            own = stage["RouteSettings"][f"POST /api/v1/{route}"]
            self.assertNotEqual(own["ThrottlingRateLimit"], whole["ThrottlingRateLimit"], route)
            self.assertLess(own["ThrottlingBurstLimit"], whole["ThrottlingBurstLimit"], route)

    def test_the_concurrency_of_the_api_is_capped_by_a_parameter(self):
        """And not at all by its default: a new account could not reserve any."""
        function = self.template["Resources"]["ApiFunction"]["Properties"]
        condition, cap, otherwise = function["ReservedConcurrentExecutions"]["Fn::If"]
        self.assertEqual((cap, otherwise), ({"Ref": "ApiConcurrency"}, {"Ref": "AWS::NoValue"}))
        self.assertEqual(self.template["Parameters"]["ApiConcurrency"]["Default"], 0)
        self.assertIn("ApiConcurrency", json.dumps(self.template["Conditions"][condition]))

    def test_dynamodb_may_use_its_key_in_the_name_of_a_function(self):
        policy = self.template["Resources"]["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"]
        allowed = [each for each in policy if "kms:Decrypt" in each["Action"]]
        self.assertEqual(len(allowed), 1)
        via = allowed[0]["Condition"]["StringEquals"]["kms:ViaService"]
        self.assertEqual(via, {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"})

    def test_nothing_writes_a_line_for_each_message_or_invocation(self):
        for name, function in self.declared("AWS::Lambda::Function").items():
            logging = function["LoggingConfig"]
            self.assertEqual((logging["LogFormat"], logging["SystemLogLevel"]), ("JSON", "WARN"), name)
            # RUST_LOG chooses among the functions' own lines; what it lets through is not dropped here.
            self.assertEqual(logging["ApplicationLogLevel"], "DEBUG", name)
        stages = [each["Properties"] for each in transformed(PARAMETERS)["Resources"].values() if each["Type"].endswith("::Stage")]
        sockets = [stage for stage in stages if stage["StageName"] == "dev"]
        self.assertEqual(len(sockets), 1)
        self.assertNotIn("AccessLogSettings", sockets[0])
        self.assertEqual(sockets[0]["DefaultRouteSettings"]["LoggingLevel"], "ERROR")
        self.assertFalse(sockets[0]["DefaultRouteSettings"]["DataTraceEnabled"])
        # Without the account's role such a stage is refused; it comes after its API, and so after that.
        self.assertEqual(sockets[0]["ApiId"], {"Ref": "WebSocketApi"})
        api = transformed(PARAMETERS)["Resources"]["WebSocketApi"]["Properties"]
        self.assertIn({"Ref": "ApiGatewayAccount"}, api["Tags"]["logs-written-by"]["Fn::If"])

    def test_origins_that_no_browser_would_send_are_refused(self):
        pattern = self.template["Parameters"]["Origins"]["AllowedPattern"]
        for origins in ("", "https://a.example", "http://localhost:4200,https://a.example:8443", "capacitor://localhost", "http://[::1]:4200"):
            self.assertRegex(origins, pattern)
        for origins in ("https://a.example/", "https://A.example", "HTTPS://a.example", "https://a.example/x", "a.example", "*", "https://a.example, https://b.example"):
            self.assertNotRegex(origins, pattern)

    def test_the_dashboard_is_json(self):
        body = self.template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        self.assertGreater(len(json.loads(body)["widgets"]), 4)


if __name__ == "__main__":
    unittest.main()
